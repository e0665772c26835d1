<?php
// PHP's own sessions through phpredis's handler (set by session.save_handler on the command line).
ob_start();
session_name('session');
session_start();
header('Content-Type: application/json');
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/login') {
    session_regenerate_id(true);
    $_SESSION['user'] = $_GET['user'];
    echo json_encode(['user' => $_SESSION['user']]);
} elseif ($path === '/count') {
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    echo json_encode(['user' => $_SESSION['user'] ?? null, 'count' => $_SESSION['count']]);
} elseif ($path === '/fill') {
    $_SESSION['fill'] = str_repeat('x', (int) $_GET['size']);
    echo json_encode(['size' => strlen($_SESSION['fill'])]);
} elseif ($path === '/size') {
    echo json_encode(['size' => strlen($_SESSION['fill'] ?? '')]);
} elseif ($path === '/logout') {
    session_destroy();
    echo json_encode(['user' => null]);
} else {
    http_response_code(404);
}
