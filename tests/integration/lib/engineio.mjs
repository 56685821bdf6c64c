// Engine.IO request by request, for what no client library does. Each request is a connection of its own.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { token } from './llana.mjs'
import { RawSocket, frame } from './raw.mjs'

export const PATH = '/socket.io/?EIO=4&transport=polling'

// One table, and a user who may read it.
export const customers = `create table "Customer" ("custId" int primary key, name text); grant select on "Customer" to authenticated;
  select enable_realtime('public', 'Customer'); insert into "User" values (1, 'ADMIN', 'a@x'); insert into _llana_role (role, records) values ('ADMIN', 'READ')`

export class EngineIo {
  constructor(system) {
    this.system = system
  }

  // `given` is called with the request when all of it has been written.
  ask(path, { method = 'GET', headers = {}, body, agent = false, given = () => {} } = {}) {
    return new Promise((done, fail) => {
      const asked = request({ port: this.system.port, host: '127.0.0.1', path, method, headers, agent }, answer => {
        let text = ''
        answer.setEncoding('utf8').on('data', part => { text += part }).on('end', () => done({ status: answer.statusCode, headers: answer.headers, text }))
      })
      asked.on('error', fail).on('finish', () => given(asked))
      asked.end(body)
    })
  }

  poll(sid, more) {
    return this.ask(`${PATH}&sid=${sid}`, more)
  }

  post(sid, body, headers = {}) {
    return this.ask(`${PATH}&sid=${sid}`, { method: 'POST', body, headers: { 'Content-Type': 'text/plain;charset=UTF-8', ...headers } })
  }

  async open() {
    return JSON.parse((await this.ask(PATH)).text.slice(1)).sid
  }

  auth() {
    return JSON.stringify({ token: token(this.system, 1), 'x-llana-table': 'Customer' })
  }

  // Everything that polls bring until one of the packets is wanted; pings are answered.
  async packets(sid, wanted) {
    const all = []
    for (;;) {
      const answer = await this.poll(sid)
      assert.equal(answer.status, 200, answer.text)
      const got = answer.text.split('\x1e')
      if (got.includes('2')) await this.post(sid, '3')
      all.push(...got.filter(packet => packet !== '2'))
      if (all.some(wanted)) return all
    }
  }

  async joined() {
    const sid = await this.open()
    assert.equal((await this.post(sid, `40${this.auth()}`)).text, 'ok')
    const [answer] = await this.packets(sid, packet => packet.startsWith('4'))
    assert.match(answer, /^40\{"sid":"[\w-]{20}","pid":"[^"]+"\}$/)
    return sid
  }

  // A WebSocket, for a session or for itself. text() answers pings, but not the first packet of a session.
  async websocket(sid) {
    const raw = await RawSocket.open(this.system, { path: `/socket.io/?EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}` })
    assert.equal(raw.status, 101)
    raw.say = text => raw.write(frame(1, text))
    raw.text = async () => {
      for (;;) {
        const got = await raw.frame()
        if (got.opcode !== 1) continue
        const text = got.payload.toString()
        if (text !== '2') return text
        raw.say('3')
      }
    }
    return raw
  }

  // The way from polling to a WebSocket, whole.
  async upgraded(sid) {
    const raw = await this.websocket(sid)
    raw.say('2probe')
    assert.equal(await raw.text(), '3probe')
    raw.say('5')
    return raw
  }
}
