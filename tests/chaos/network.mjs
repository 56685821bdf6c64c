// The links of a system as TCP addresses with a proxy before each: tailer <-> brokers, and every shard <-> edges.
import { freePort, portBase } from '../integration/lib/ports.mjs'
import { Proxy } from './proxy.mjs'
import { wait } from './writers.mjs'

export class Network {
  static async make(shards) {
    const network = new Network()
    network.proxies = new Map() // 'tailer.publish', 'shard-0.control', …
    network.settings = []
    for (const kind of ['publish', 'control']) {
      const [near, far] = [await freePort(), await freePort()]
      network.settings.push(`links.tailer_${kind}=tcp://127.0.0.1:${near}`, `links.tailer_${kind}_bind=tcp://127.0.0.1:${far}`)
      network.proxies.set(`tailer.${kind}`, await Proxy.start(near, far))
    }
    for (const kind of ['publish', 'control']) {
      const [near, far] = [await portBase(shards), await portBase(shards)]
      network.settings.push(`links.broker_${kind}=tcp://127.0.0.1:${near}{shard}`, `links.broker_${kind}_bind=tcp://127.0.0.1:${far}{shard}`)
      for (let n = 0; n < shards; n++) network.proxies.set(`shard-${n}.${kind}`, await Proxy.start(near * 10 + n, far * 10 + n))
    }
    // Whole links and single sockets of them.
    network.links = [...new Set([...network.proxies.keys()].map(name => name.split('.')[0])), ...network.proxies.keys()]
    network.faults = {}
    network.work = new Set()
    return network
  }

  of(link) {
    return [...this.proxies].filter(([name]) => name === link || name.startsWith(`${link}.`)).map(([, proxy]) => proxy)
  }

  fault({ kind, target, ms, delay }) {
    this.faults[kind] = (this.faults[kind] ?? 0) + 1
    const work = Promise.all(this.of(target).map(async proxy => {
      if (kind === 'cut') {
        proxy.set({ refusing: ms > 0 })
        proxy.cut()
      } else proxy.set(kind === 'stall' ? { stalled: true } : { delay })
      await wait(ms)
      proxy.heal()
    })).finally(() => this.work.delete(work))
    this.work.add(work)
  }

  async settle() {
    while (this.work.size > 0) await Promise.all(this.work)
    for (const proxy of this.proxies.values()) proxy.heal()
  }

  async stop() {
    await Promise.all([...this.proxies.values()].map(proxy => proxy.stop()))
  }
}
