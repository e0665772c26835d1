// A session's life through ioredis.
import Redis from 'ioredis'
import { note, until, near, finish, host, port, password, binary, big } from './transcript.mjs'

const open = async (more = {}) => {
  const client = new Redis({ host, port: Number(port), lazyConnect: true, connectionName: 'io', retryStrategy: null, ...more })
  client.on('error', () => {})
  await client.connect()
  return client
}

if (password) {
  for (const given of [undefined, 'wrong', password]) {
    await note(`password ${given}`, async () => (await open({ password: given })).get('missing'))
  }
  await note('user', async () => (await open({ username: 'nobody', password })).get('missing'))
  finish()
}

const r = await open()
await note('status', () => r.status)
await note('create', () => r.set('session:1', binary, 'EX', 1000))
await note('create twice', () => r.set('session:1', 'other', 'PX', 1000, 'NX'))
await note('read', () => r.getBuffer('session:1'))
await note('ttl', async () => near(await r.ttl('session:1'), 1000))
await note('slide', () => r.expire('session:1', 2000))
await note('slid', async () => near(await r.ttl('session:1'), 2000))
await note('getex', () => r.getexBuffer('session:1', 'EX', 3000))
await note('getex slid', async () => near(await r.ttl('session:1'), 3000))
await note('moment', () => r.pexpireat('session:1', 4102444800123))
await note('moment read', () => r.pexpiretime('session:1'))
await note('persist', () => r.persist('session:1'))
await note('missing', async () => [await r.get('nobody'), await r.ttl('nobody'), await r.mget('nobody', 'nobody')])

await note('hash', () => r.hset('h', { user: 'anna', cart: 'full', count: 1, empty: '' }))
await note('hmset', () => r.hmset('h', new Map([['m', '1']])))
await note('hash all', () => r.hgetall('h'))
await note('hash none', () => r.hgetall('nobody'))
await note('hash mget', () => r.hmget('h', 'user', 'nobody'))
await note('hash incr', async () => [await r.hincrby('h', 'count', 41), await r.hincrbyfloat('h', 'count', 0.5)])
await note('hash del', () => r.hdel('h', 'cart', 'nobody'))
await note('hash more', async () => [await r.hexists('h', 'user'), await r.hlen('h'), await r.hstrlen('h', 'user'), (await r.hkeys('h')).sort()])
await note('hash scan', async () => {
  const found = []
  for await (const batch of r.hscanStream('h')) found.push(...batch.filter((_, at) => at % 2 === 0))
  return found.sort()
})

await note('transaction', () => r.multi().set('a', 1).incr('a').get('a').hgetall('nobody').expire('a', 100).exec())
await note('transaction with error', () => r.multi().set('b', 'x').incr('b').get('b').exec())
await note('transaction aborted by error', () => r.multi().set('b', 'x').call('GET').exec())
await note('unpipelined transaction', async () => {
  const queued = [await r.multi({ pipeline: false }), await r.set('c', '1'), await r.incr('c')]
  return [queued, await r.exec()]
})
await note('pipeline', () => r.pipeline().set('p', 1).incr('p').hget('p', 'f').get('p').exec())
const other = await open()
for (const disturbed of [false, true]) {
  await note(`watch, disturbed ${disturbed}`, async () => {
    await r.watch('a')
    const value = Number(await r.get('a'))
    if (disturbed) await other.set('a', '100')
    return r.multi().set('a', value + 1).exec()
  })
}
await note('watch result', () => r.get('a'))

await r.psetex('soon', 40, 'v')
await until(async () => (await r.get('soon')) === null, 'expiry')
await note('expired', () => r.ttl('soon'))
await note('delete', async () => [await r.del('session:1', 'nobody'), await r.exists('session:1'), await r.unlink('h')])

await Promise.all(Array.from({ length: 400 }, (_, n) => r.setex(`scan:${n}`, 1000, String(n))))
await note('scan', async () => {
  const found = new Set()
  for await (const batch of r.scanStream({ match: 'scan:*', count: 30 })) batch.forEach(key => found.add(key))
  return [...found].sort()
})
await note('dbsize', () => r.dbsize())
await note('big', () => r.set('big', big))
await note('big read', () => r.getBuffer('big'))

await note('wrong type', () => r.hget('big', 'f'))
await note('no integer', () => r.incr('big'))
await note('unknown', () => r.call('NOSUCH', 'a', 'b'))
await note('arity', () => r.call('GET'))
await note('bad expiry', () => r.set('k', 'v', 'EX', -1))
await note('rename missing', () => r.rename('nobody', 'x'))
await note('name', () => r.client('GETNAME'))
await note('config', () => r.config('GET', 'maxmemory'))
await note('info', async () => /role:master/.test(await r.info()))
await note('select', async () => [await r.select(3), await r.dbsize(), await r.select(99).catch(error => error)])
await note('database option', async () => (await open({ db: 5 })).set('k', 'v'))
await note('key prefix', async () => [await (await open({ keyPrefix: 'pre:' })).set('k', 'v'), await r.select(0), await r.get('pre:k')])
await note('auto pipelining', async () => {
  const auto = await open({ enableAutoPipelining: true })
  return Promise.all(Array.from({ length: 50 }, () => auto.incr('auto')))
})
await note('flush', () => r.flushall())
await note('quit', () => r.quit())
finish()
