// Express with express-session and connect-redis, on node-redis (DRIVER=node_redis) or ioredis (DRIVER=ioredis).
import express from 'express'
import session from 'express-session'
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis-8'
import { createClient } from 'redis'
import Redis from 'ioredis'

const { REDIS_HOST: host, REDIS_PORT, PORT, LIFETIME, DRIVER, PROTOCOL } = process.env
const port = Number(REDIS_PORT)
let store
if (DRIVER === 'node_redis') {
  const client = createClient({ socket: { host, port }, RESP: Number(PROTOCOL ?? 2) })
  client.on('error', error => console.error(error))
  await client.connect()
  store = new RedisStore({ client, ttl: Number(LIFETIME) })
} else {
  store = new RedisStore8({ client: new Redis({ host, port }), ttl: Number(LIFETIME) })
}

const app = express()
app.use(session({ store, secret: 'only-for-tests', resave: false, saveUninitialized: false, name: 'session' }))

app.get('/login', (request, response, next) => {
  request.session.regenerate(error => {
    if (error) return next(error)
    request.session.user = request.query.user
    response.json({ user: request.session.user })
  })
})
app.get('/count', (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1
  response.json({ user: request.session.user ?? null, count: request.session.count })
})
app.get('/fill', (request, response) => {
  request.session.fill = 'x'.repeat(Number(request.query.size))
  response.json({ size: request.session.fill.length })
})
app.get('/size', (request, response) => response.json({ size: (request.session.fill ?? '').length }))
app.get('/logout', (request, response, next) => {
  request.session.destroy(error => error ? next(error) : response.json({ user: null }))
})
app.get('/store', async (request, response) => {
  const [length, ids, all] = await Promise.all([store.length(), store.ids(), store.all()])
  response.json({ length, ids: ids.length, all: all.length })
})
app.get('/clear', async (request, response) => {
  await store.clear()
  response.json({ length: await store.length() })
})
app.listen(Number(PORT), '127.0.0.1')
