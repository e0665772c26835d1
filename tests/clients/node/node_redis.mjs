// A session's life through node-redis.
import { createClient, RESP_TYPES } from 'redis'
import { note, until, near, finish, host, port, protocol, password, binary, big } from './transcript.mjs'

const options = { socket: { host, port: Number(port), reconnectStrategy: false }, RESP: Number(protocol), name: 'node' }
const open = async (more = {}) => {
  const client = createClient({ ...options, ...more })
  client.on('error', () => {})
  return client.connect()
}

if (password) {
  for (const given of [undefined, 'wrong', password]) {
    await note(`password ${given}`, async () => {
      const client = await open({ password: given })
      const value = await client.get('missing')
      client.destroy()
      return value
    })
  }
  await note('user', async () => (await open({ username: 'nobody', password })).get('missing'))
  finish()
}

const r = await open()
const raw = r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
await note('ping', () => r.ping())
await note('create', () => r.set('session:1', binary, { expiration: { type: 'EX', value: 1000 } }))
await note('create twice', () => r.set('session:1', 'other', { condition: 'NX', expiration: { type: 'PX', value: 1000 } }))
await note('old value', () => raw.set('session:1', binary, { GET: true, expiration: 'KEEPTTL' }))
await note('read', () => raw.get('session:1'))
await note('ttl', async () => near(await r.ttl('session:1'), 1000))
await note('slide', () => r.expire('session:1', 2000))
await note('slid', async () => near(await r.ttl('session:1'), 2000))
await note('getex', () => raw.getEx('session:1', { type: 'EX', value: 3000 }))
await note('getex slid', async () => near(await r.ttl('session:1'), 3000))
await note('conditions', async () => [await r.expire('session:1', 10, 'GT'), await r.expire('session:1', 10, 'NX'), await r.expire('nobody', 10)])
await note('moment', () => r.pExpireAt('session:1', 4102444800123))
await note('moment read', () => r.pExpireTime('session:1'))
await note('persist', () => r.persist('session:1'))
await note('missing', async () => [await r.get('nobody'), await r.ttl('nobody'), await r.mGet(['nobody', 'nobody'])])

await note('hash', () => r.hSet('h', { user: 'anna', cart: 'full', count: 1, empty: '' }))
await note('hash binary', () => r.hSet('h', 'bin', binary))
await note('hash all', () => raw.hGetAll('h'))
await note('hash none', () => r.hGetAll('nobody'))
await note('hash mget', () => r.hmGet('h', ['user', 'nobody']))
await note('hash incr', async () => [await r.hIncrBy('h', 'count', 41), await r.hIncrByFloat('h', 'count', 0.5)])
await note('hash del', () => r.hDel('h', ['cart', 'nobody']))
await note('hash exists', async () => [await r.hExists('h', 'user'), await r.hExists('h', 'nobody'), await r.hLen('h'), await r.hStrLen('h', 'user')])
await note('hash setnx', async () => [await r.hSetNX('h', 'user', 'x'), await r.hSetNX('h', 'new', 'x')])
await note('hash keys', async () => (await r.hKeys('h')).sort())
await note('hash scan', async () => {
  const found = []
  for await (const batch of r.hScanIterator('h')) found.push(...batch.map(({ field }) => field))
  return found.sort()
})
await note('hash random', async () => [await r.hRandField('nobody'), (await r.hRandFieldCountWithValues('h', -3)).length])

await note('transaction', () => r.multi().set('a', 1).incr('a').get('a').hGetAll('nobody').expire('a', 100).exec())
await note('transaction with error', () => r.multi().set('b', 'x').incr('b').get('b').execAsPipeline())
await note('transaction aborted by error', () => r.multi().set('b', 'x').addCommand(['GET']).exec())
await note('pipeline', () => Promise.all([r.set('p', '1'), r.incr('p'), r.get('p')]))
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

await r.pSetEx('soon', 40, 'v')
await until(async () => (await r.get('soon')) === null, 'expiry')
await note('expired', () => r.ttl('soon'))
await note('delete', async () => [await r.del(['session:1', 'nobody']), await r.exists('session:1'), await r.unlink('h')])

await Promise.all(Array.from({ length: 400 }, (_, n) => r.setEx(`scan:${n}`, 1000, String(n))))
await note('scan', async () => {
  const found = new Set()
  for await (const batch of r.scanIterator({ MATCH: 'scan:*', COUNT: 30 })) batch.forEach(key => found.add(key))
  return [...found].sort()
})
await note('scan type', async () => (await r.scan('0', { TYPE: 'hash', COUNT: 10000 })).keys)
await note('dbsize', () => r.dbSize())

await note('big', () => r.set('big', big))
await note('big read', () => raw.get('big'))
await note('big length', () => r.strLen('big'))

await note('wrong type', () => r.hGet('big', 'f'))
await note('no integer', () => r.incr('big'))
await note('unknown', () => r.sendCommand(['NOSUCH', 'a', 'b']))
await note('arity', () => r.sendCommand(['GET']))
await note('bad expiry', () => r.set('k', 'v', { expiration: { type: 'EX', value: -1 } }))
await note('rename missing', () => r.rename('nobody', 'x'))
await note('floats', async () => [await r.incrByFloat('f', 1.25), await r.incrBy('i', 5), await r.decr('i')])
await note('name', () => r.clientGetName())
await note('id', async () => typeof await r.clientId())
await note('config', () => r.configGet('maxmemory'))
await note('info', async () => /role:master/.test(await r.info('replication')))
await note('client info', async () => (await r.clientInfo()).name)
await note('command', async () => (await r.commandInfo(['get']))[0].arity)
await note('time', async () => Array.isArray(await r.sendCommand(['TIME'])))
await note('select', async () => [await r.select(3), await r.dbSize(), await r.select(99).catch(error => error)])
await note('flush', () => r.flushAll())
finish()
