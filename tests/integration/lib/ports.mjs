// Ports below the ephemeral range: no outgoing connection of a parallel test can take one meanwhile.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const isFree = port => new Promise(done => {
  const probe = createServer().once('error', () => done(false))
  probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)))
})

export async function freePort() {
  for (;;) {
    const port = randomInt(10240, 32000)
    if (await isFree(port)) return port
  }
}

// A number to which one digit is appended, so that {shard} in an address gives a free port for 0 … count - 1.
export async function portBase(count) {
  for (;;) {
    const base = randomInt(1024, 3200)
    const free = await Promise.all(Array.from({ length: count }, (_, n) => isFree(base * 10 + n)))
    if (free.every(Boolean)) return base
  }
}
