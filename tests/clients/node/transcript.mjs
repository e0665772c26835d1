// Prints one JSON line per step, as harness/programs.py expects them.
import crypto from 'node:crypto'

export const [host, port, protocol, password] = process.argv.slice(2)
export const binary = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
export const big = Buffer.alloc(5 * 1024 * 1024, binary)

function canonical (value) {
  if (Buffer.isBuffer(value)) {
    return value.length > 2000 ? 'sha1 ' + crypto.createHash('sha1').update(value).digest('hex') : 'bytes ' + value.toString('hex')
  }
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (value instanceof Map) return canonical(Object.fromEntries(value))
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value === 'bigint') return `big ${value}`
  if (value !== null && typeof value === 'object') {
    return Object.keys(value).sort().map(key => [key, canonical(value[key])])
  }
  return value === undefined ? 'undefined' : value
}

export async function note (step, call) {
  let value
  try {
    value = await call()
  } catch (error) {
    value = error
  }
  console.log(JSON.stringify({ step, value: canonical(value) }))
  return value
}

export async function until (condition, what) {
  const end = Date.now() + 5000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not happen in time`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

export const near = (value, expected) => value > expected - 3 && value <= expected

export function finish () {
  console.log(JSON.stringify({ step: 'end', value: null }))
  process.exit(0)
}
