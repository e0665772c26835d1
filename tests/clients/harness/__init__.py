"""What every suite in this folder shares: servers, a raw RESP socket, case tables, waiting, normalising."""
