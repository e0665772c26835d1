#!/usr/bin/env bash
# Asks a Holdfast node from bash, without another program: sourced by the scripts beside this folder, not run.
#
# No function here forks, so that a watcher can ask fifty times a second. Every wait is bounded. Results are left in
# variables: talk_fd, reply, state, now_ms.
#
# REQUIRES: LC_ALL=C, so that lengths are bytes; SIGPIPE ignored, as a node may close at any moment.

export LC_ALL=C
trap '' PIPE

# The wall clock, in now_ms.
# shellcheck disable=SC2034  # for those who source this
take_time() {
  now_ms=$((${EPOCHREALTIME/./} / 1000))
}

# talk_open HOST PORT: a connection in talk_fd, or a failure if nobody listens.
talk_open() {
  { exec {talk_fd}<>"/dev/tcp/$1/$2"; } 2>/dev/null
}

talk_close() {
  { exec {talk_fd}>&-; } 2>/dev/null
}

# talk SECONDS WORD...: sends a command over talk_fd and reads its reply.
talk() {
  local seconds=$1 word request
  shift
  printf -v request '*%d\r\n' "$#"
  for word in "$@"; do
    printf -v request '%s$%d\r\n%s\r\n' "$request" "${#word}" "$word"
  done
  { printf '%s' "$request" >&"$talk_fd"; } 2>/dev/null || return 1
  talk_read "$seconds"
}

# One reply of talk_fd in `reply`: the text of a string or number, an error with its "-", nothing for null. Status 1 if the
# connection is gone, above 128 if nothing came in time; another talk_read may then still get it.
talk_read() {
  local line
  IFS= read -r -t "$1" -u "$talk_fd" line 2>/dev/null || return
  line=${line%$'\r'}
  case $line in
    '$-1' | '_') reply="" ;;
    '$'* | '='*)
      IFS= read -r -t "$1" -u "$talk_fd" -N $((${line:1} + 2)) reply 2>/dev/null || return
      reply=${reply%$'\r\n'}
      ;;
    -*) reply=$line ;;
    *) reply=${line:1} ;;
  esac
}

# Authenticates with the password that the environment gives to the nodes, if it gives one.
talk_auth() {
  local password=${HOLDFAST_SECURITY_REQUIREPASS:-}
  [[ -z ${HOLDFAST_SECURITY_REQUIREPASS_FILE:-} ]] || password=$(<"$HOLDFAST_SECURITY_REQUIREPASS_FILE")
  [[ -z $password ]] || talk "$1" AUTH "$password"
}

# json_value TEXT NAME: the value of a field that holds a name, a number, true, false, or null (then nothing), in `value`.
json_value() {
  value=""
  [[ $1 =~ \"$2\":\ *\"?([^\",}]*) ]] || return 1
  value=${BASH_REMATCH[1]}
  [[ $value != null ]] || value=""
}

# Takes HOLDFAST STATUS (in $1) apart: the fields about the node itself into the array `state`, the text about its peers into
# `peers`. Fails if it is nothing of the kind.
declare -A state=()
peers=""
take_state() {
  local own=$1 name value
  state=()
  peers=""
  if [[ $own =~ ^(.*)\"peers\":\ *\[([^]]*)\](.*)$ ]]; then
    own=${BASH_REMATCH[1]}${BASH_REMATCH[3]}
    peers=${BASH_REMATCH[2]}
  fi
  for name in node role term primary claim serving last_index commit_index; do
    json_value "$own" "$name" || continue
    state[$name]=$value
  done
  [[ -n ${state[role]:-} ]]
}

# peer_value NAME FIELD: what the last take_state said about a peer, in `value`.
peer_value() {
  local rest=$peers peer
  while [[ $rest == *"}"* ]]; do
    peer=${rest%%\}*}
    rest=${rest#*\}}
    if json_value "$peer" name && [[ $value == "$1" ]]; then
      json_value "$peer" "$2"
      return
    fi
  done
  value=""
  return 1
}
