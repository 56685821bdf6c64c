// The real @staticbackend/js, as a Node program uses it, and what it does not send: raw requests and streams.
import { Backend } from '@staticbackend/js'
import { EventSource } from 'eventsource'
import { request } from 'node:http'
import WebSocket from 'ws'
import { now, sign } from './token.mjs'

globalThis.EventSource = EventSource
globalThis.WebSocket = WebSocket

// What StaticBackend's own tables look like. Repositories keep their suffix in the table's name.
export const schema = (name, repositories) => `create schema ${name}; grant usage on schema ${name} to authenticated, service_role;
  create table ${name}.sb_tokens (id uuid primary key default gen_random_uuid(), account_id uuid not null, token text not null, email text, password text, role int, created timestamp default now());
  grant select (id, account_id, token) on ${name}.sb_tokens to service_role; select enable_realtime('${name}', 'sb_tokens');
  ${repositories.map(repository => `create table ${name}."${repository}" (id uuid primary key default gen_random_uuid(), account_id uuid, owner_id uuid, data jsonb not null default '{}', created timestamp default now());
  grant select on ${name}."${repository}" to authenticated; select enable_realtime('${name}', '${repository}');`).join('\n')}`

// As StaticBackend issues them: nbf is half an hour ahead.
export const genuine = (system, user, secret, claims = {}) => sign(system.jwtKey, { token: `${user}|${secret}`, iss: 'StaticBackend', iat: now(),
  exp: now() + 12 * 3600, nbf: now() + 1800, jti: Math.random().toString(36), ...claims })
export const plain = (system, accountId, userId, claims = {}) => sign(system.jwtKey, { accountId, userId, exp: now() + 3600, ...claims })

class Inbox {
  messages = []
  waiters = new Set()

  put(message) {
    this.messages.push(message)
    for (const waiter of this.waiters) waiter()
  }

  // The first message not yet taken that matches; those before it stay.
  async take(match, { deadline = 20_000, what = String(match) } = {}) {
    const end = Date.now() + deadline
    for (;;) {
      const at = this.messages.findIndex(match)
      if (at >= 0) return this.messages.splice(at, 1)[0]
      const left = end - Date.now()
      if (left <= 0) throw new Error(`no such message within ${deadline} ms: ${what}; have ${JSON.stringify(this.messages.slice(-5))}`)
      await new Promise(done => {
        const finish = () => { clearTimeout(timer); this.waiters.delete(finish); done() }
        const timer = setTimeout(finish, left)
        this.waiters.add(finish)
      })
    }
  }
}

// A user's program: connect, wait for onAuth, join, send.
export class Sb extends Inbox {
  constructor(system, key) {
    super()
    this.backend = new Backend(key, system.http)
    this.authenticated = 0
  }

  connect(token, { socket = false } = {}) {
    this.socket = socket
    const onAuth = given => { this.authenticated++; this.given = given; this.put({ type: 'onAuth', data: given }) }
    const onMessage = message => this.put(message)
    if (socket) {
      this.backend.connectWS(token, onAuth, onMessage)
      // The client forgets to authenticate here; seed-protocols.md 3.3 says what an application does about it.
      this.backend.ws.addEventListener('message', event => {
        if (JSON.parse(event.data).type === 'init') queueMicrotask(() => this.backend.sendWS('auth', token))
      })
    } else {
      this.backend.connect(token, onAuth, onMessage)
      this.backend.sseClient.onerror = error => { this.error = error }
    }
    return this.take(message => message.type === 'onAuth' || message.type === 'error', { what: 'onAuth' })
  }

  send(type, data, channel) {
    return this.socket ? this.backend.sendWS(type, data, channel) : this.backend.send(type, data, channel)
  }

  async join(channel) {
    this.send('join', channel)
    return this.take(message => ['joined', 'error'].includes(message.type) && message.channel === channel, { what: `answer to join ${channel}` })
  }

  event(type, channel) {
    return this.take(message => message.type === type && (!channel || message.channel === channel), { what: `${type} in ${channel}` })
  }

  // Everything that came before the answer to an echo: shows that something did NOT arrive, without waiting.
  async drain() {
    const mark = Math.random().toString(36)
    this.send('echo', mark)
    await this.take(message => message.type === 'echo' && message.data === `echo: ${mark}`)
    return this.messages.splice(0)
  }

  close() {
    this.backend.sseClient?.close()
    this.backend.ws?.terminate()
  }
}

// An event stream, byte for byte, with whatever headers a client has.
export class Stream extends Inbox {
  static open(system, { key, headers = {}, path = '/sse/connect' } = {}) {
    const stream = new Stream()
    stream.text = ''
    stream.ended = false
    return new Promise((done, fail) => {
      stream.request = request(`${system.http}${path}${key === undefined ? '' : `?sbpk=${key}`}`, { headers: { Accept: 'text/event-stream', ...headers } }, answer => {
        stream.answer = answer
        stream.status = answer.statusCode
        stream.headers = answer.headers
        answer.setEncoding('utf8')
        answer.on('data', part => stream.read(part))
        answer.on('end', () => { stream.ended = true; stream.put({ type: 'end' }) })
        answer.on('error', () => { stream.ended = true; stream.put({ type: 'end' }) })
        if (stream.status === 200) done(stream)
        else answer.on('end', () => done(stream))
      }).on('error', fail).end()
    })
  }

  read(part) {
    this.text += part
    for (let at = this.text.indexOf('\n\n'); at >= 0 && this.status === 200; at = this.text.indexOf('\n\n')) {
      const lines = this.text.slice(0, at).split('\n')
      this.text = this.text.slice(at + 2)
      const field = name => lines.filter(line => line.startsWith(`${name}: `)).map(line => line.slice(name.length + 2))
      const [id] = field('id')
      if (id !== undefined) this.lastId = id
      const [event] = field('event')
      if (lines.every(line => line.startsWith(':') || line.startsWith('retry:'))) this.put({ type: 'comment', lines })
      else if (event !== undefined) this.put({ type: `event ${event}`, id })
      else this.put({ ...JSON.parse(field('data').join('\n')), id })
    }
  }

  close() {
    this.request.destroy()
  }
}

// A POST as the client makes it, or as it does not: returns { status, text, headers }.
export function post(system, body, { key, token, headers = {}, method = 'POST', path = '/sse/msg' } = {}) {
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  return new Promise((done, fail) => {
    const asked = request(`${system.http}${path}`, { method, agent: false, headers: { 'Content-Type': 'application/json', ...(key && { 'SB-PUBLIC-KEY': key }),
      ...(token && { Authorization: `Bearer ${token}` }), 'Content-Length': Buffer.byteLength(text), ...headers } }, answer => {
      let got = ''
      answer.setEncoding('utf8').on('data', part => { got += part }).on('end', () => done({ status: answer.statusCode, text: got, headers: answer.headers }))
    }).on('error', fail)
    asked.end(text)
  })
}
