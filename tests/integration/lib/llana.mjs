// Socket.IO clients as Llana's users write them, and the tables that Llana makes.
import { io } from 'socket.io-client'
import { until } from './system.mjs'
import { now, sign } from './token.mjs'

export const token = (system, sub, claims = {}) => sign(system.jwtKey, { sub, email: `u${sub}@x`, iat: now(), exp: now() + 900, ...claims })

// As Llana creates them at its first start; the user table has a password that the reading role must not see.
export async function llanaTables(system) {
  await system.sql(`
    create table _llana_role (id serial primary key, custom boolean not null default false, "table" text, identity_column text, role text,
      records text default 'NONE', own_records text default 'NONE', allowed_fields text);
    create table _llana_public_tables (id serial primary key, "table" text, access_level text default 'READ', allowed_fields text);
    create table "User" (id int primary key, role text, email text, password text default 'secret');
    grant select on _llana_role, _llana_public_tables to authenticated;
    grant select (id, role) on "User" to authenticated;
    select enable_realtime('public', name) from unnest(array['_llana_role', '_llana_public_tables', 'User']) name`)
}

// A connected client, with what it hears. `auth` and `headers` are given as an application would.
export class LlanaClient {
  constructor(system, { table, token, transports, auth, headers, options = {} }) {
    this.events = []
    this.errors = []
    this.drops = []
    this.socket = io(system.http, {
      transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, extraHeaders: headers,
      auth: auth ?? { ...token && { token: `Bearer ${token}` }, ...table && { 'x-llana-table': table } }, ...options,
    })
    this.socket.onAny((name, data, ...rest) => this.events.push({ name, data, rest }))
    this.socket.on('connect_error', error => this.errors.push(error.message))
    this.socket.on('disconnect', reason => this.drops.push(reason))
  }

  async take(count) {
    await until(`${count} events`, () => this.events.length >= count).catch(error => {
      throw new Error(`${error.message}; have ${JSON.stringify(this.events)}`)
    })
    return this.events.splice(0, count).map(event => event.data)
  }

  async connected() {
    await until('an answer', () => this.socket.connected || (this.errors.length > 0 && !this.socket.active)) // active: it tries again itself
    if (!this.socket.connected) throw new Error(this.errors[0])
  }

  // Everything that was sent to it before is in `events`: the answer to what it says itself comes behind.
  async flushed() {
    const mark = Math.random().toString(36)
    this.socket.emit('message', mark)
    await until('its own answer', () => this.events.some(event => event.data?.cause?.data === mark))
    this.events = this.events.filter(event => event.data?.cause?.data !== mark)
  }

  async refusal() {
    await until('a refusal', () => this.errors.length > 0)
    return this.errors.shift()
  }

  close() {
    this.socket.close()
  }
}

// The kernel decides which edge a connection goes to: at least `count` clients, and as many more as it takes until every edge has one.
export async function spread(system, count, each) {
  const edges = system.processes().filter(name => name.startsWith('edge'))
  const opened = () => Promise.all(edges.map(name => system.metric(name, 'pgtide_edge_engineio_sessions_total')))
  const before = await opened()
  const clients = []
  while (clients.length < count || (await opened()).some((total, at) => total === before[at])) clients.push(await each(clients.length))
  return clients
}

export async function connect(system, what) {
  const client = new LlanaClient(system, what)
  try {
    await client.connected()
    const transports = what.transports ?? ['polling', 'websocket']
    if (transports.length > 1) await until('upgraded', () => client.socket.io.engine.transport.name === 'websocket')
  } catch (error) {
    client.close()
    throw error
  }
  return client
}
