<?php
// A session's life through phpredis. Arguments: host port protocol(unused: phpredis 5 speaks RESP2) password.
[, $host, $port, , $password] = $argv;

function canonical($value) {
    if (is_string($value)) {
        if (strlen($value) > 2000) return 'sha1 ' . sha1($value);
        return preg_match('//u', $value) ? $value : 'bytes ' . bin2hex($value);
    }
    if (is_array($value)) {
        $made = array_map('canonical', $value);
        if (!array_is_list($made)) ksort($made);
        return $made;
    }
    return $value;
}

function note($step, $call) {
    try {
        $value = $call();
    } catch (RedisException $error) {
        $value = 'RedisException: ' . $error->getMessage();
    }
    echo json_encode(['step' => $step, 'value' => canonical($value)], JSON_THROW_ON_ERROR), "\n";
    return $value;
}

function until($condition) {
    $end = microtime(true) + 5;
    while (!$condition()) {
        if (microtime(true) > $end) { fwrite(STDERR, "a condition did not come true\n"); exit(1); }
        usleep(2000);
    }
}

function near($value, $expected) { return $value > $expected - 3 && $value <= $expected; }

$open = function () use ($host, $port) { $r = new Redis(); $r->connect($host, (int) $port, 10); return $r; };
$r = $open();

if ($password !== '') {
    note('no password', fn() => $r->get('missing'));
    note('wrong password', fn() => $r->auth('wrong'));
    note('wrong user', fn() => $r->auth(['nobody', $password]));
    note('password', fn() => $r->auth($password));
    note('read', fn() => $r->get('missing'));
    note('user and password', fn() => $open()->auth(['default', $password]));
    note('end', fn() => null);
    exit;
}

$binary = implode('', array_map('chr', range(0, 255)));
$big = str_repeat($binary, 5 * 4096);
note('ping', fn() => $r->ping());
note('create', fn() => $r->setex('session:1', 1000, $binary));
note('create twice', fn() => $r->set('session:1', 'other', ['nx', 'ex' => 1000]));
note('read', fn() => $r->get('session:1'));
note('ttl', fn() => near($r->ttl('session:1'), 1000));
note('slide', fn() => $r->expire('session:1', 2000));
note('slid', fn() => near($r->ttl('session:1'), 2000));
note('getex', fn() => $r->rawCommand('GETEX', 'session:1', 'EX', '3000'));
note('getex slid', fn() => near($r->ttl('session:1'), 3000));
note('set xx px', fn() => $r->set('session:1', $binary, ['xx', 'px' => 500000]));
note('moment', fn() => $r->pExpireAt('session:1', 4102444800123));
note('persist', fn() => [$r->persist('session:1'), $r->ttl('session:1'), $r->pttl('nobody')]);
note('missing', fn() => [$r->get('nobody'), $r->mGet(['nobody', 'nobody']), $r->exists('nobody', 'session:1')]);
note('append', fn() => [$r->append('ap', ''), $r->append('ap', 'x'), $r->strlen('ap'), $r->getRange('ap', 0, -1), $r->setRange('ap', 3, 'y')]);

note('hash', fn() => $r->hMSet('h', ['user' => 'anna', 'cart' => $binary, 'count' => 1, 'empty' => '']));
note('hash set', fn() => [$r->hSet('h', 'user', 'berta'), $r->hSet('h', 'new', 'x'), $r->hSetNx('h', 'new', 'y')]);
note('hash all', fn() => $r->hGetAll('h'));
note('hash none', fn() => $r->hGetAll('nobody'));
note('hash mget', fn() => $r->hMGet('h', ['user', 'nobody']));
note('hash incr', fn() => [$r->hIncrBy('h', 'count', 41), $r->hIncrByFloat('h', 'count', 0.5)]);
note('hash more', fn() => [$r->hDel('h', 'cart', 'nobody'), $r->hLen('h'), $r->hExists('h', 'user'), $r->hStrLen('h', 'user')]);
note('hash keys', function () use ($r) { $keys = $r->hKeys('h'); sort($keys); return $keys; });
note('hash scan', function () use ($r) {
    $cursor = null; $found = [];
    while (($part = $r->hScan('h', $cursor)) !== false) $found += $part;
    return $found;
});

note('transaction', fn() => $r->multi()->set('a', '1')->incr('a')->get('a')->hGetAll('nobody')->expire('a', 100)->exec());
note('transaction with error', fn() => $r->multi()->set('b', 'x')->incr('b')->get('b')->exec());
note('pipeline', fn() => $r->multi(Redis::PIPELINE)->set('p', '1')->incr('p')->hGet('p', 'f')->get('p')->exec());
note('discard', function () use ($r) { $r->multi(); $r->set('a', '9'); return [$r->discard(), $r->get('a')]; });
$other = $open();
foreach ([false, true] as $disturbed) {
    note('watch, disturbed ' . (int) $disturbed, function () use ($r, $other, $disturbed) {
        $r->watch('a');
        $value = (int) $r->get('a');
        if ($disturbed) $other->set('a', '100');
        return $r->multi()->set('a', (string) ($value + 1))->exec();
    });
}
note('watch result', fn() => $r->get('a'));

$r->psetex('soon', 40, 'v');
until(fn() => $r->get('soon') === false);
note('expired', fn() => $r->ttl('soon'));
note('delete', fn() => [$r->del('session:1', 'nobody'), $r->exists('session:1'), $r->unlink('h')]);

for ($n = 0; $n < 400; $n++) $r->setex("scan:$n", 1000, (string) $n);
note('scan', function () use ($r) {
    $r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $cursor = null; $found = [];
    while (($part = $r->scan($cursor, 'scan:*', 30)) !== false) foreach ($part as $key) $found[$key] = 1;
    ksort($found);
    return array_keys($found);
});
note('dbsize', fn() => $r->dbSize());
note('big', fn() => [$r->set('big', $big), $r->get('big') === $big, $r->strlen('big')]);

foreach (['wrong type' => fn() => $r->hGet('big', 'f'), 'no integer' => fn() => $r->incr('big'),
          'unknown' => fn() => $r->rawCommand('NOSUCH', 'a', 'b'), 'arity' => fn() => $r->rawCommand('GET'),
          'bad expiry' => fn() => $r->setex('k', -1, 'v'), 'rename missing' => fn() => $r->rename('nobody', 'x')] as $step => $call) {
    $r->clearLastError();
    note($step, $call);
    note("$step, error", fn() => $r->getLastError());
}
note('counters', fn() => [$r->incrBy('i', 5), $r->decr('i'), $r->incrByFloat('f', 1.25)]);
note('name', fn() => [$r->client('setname', 'php'), $r->client('getname')]);
note('info', fn() => $r->info()['role']);
note('config', fn() => $r->config('GET', 'maxmemory'));
note('object', fn() => [$r->object('encoding', 'i'), $r->type('i')]);
note('select', fn() => [$r->select(3), $r->dbSize(), $r->select(99), $r->getLastError()]);
note('echo', fn() => $r->echo($binary));
note('serializer', function () use ($r) {
    $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
    return [$r->set('s', ['a' => [1, 2.5, null]]), $r->get('s'), $r->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE)];
});
note('persistent connection', function () use ($host, $port) {
    for ($n = 0, $seen = []; $n < 3; $n++) {
        $p = new Redis();
        $p->pconnect($host, (int) $port, 10, 'pool');
        $seen[] = $p->incr('persistent');
        $p->close();
    }
    return $seen;
});
note('flush', fn() => $r->flushAll());
note('end', fn() => null);
