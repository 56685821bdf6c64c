// StaticBackend's clients on tables that are not StaticBackend's: columns, claims and members by configuration, tables without the suffix
// in their names, keys that are numbers; one public key, so tokens need not name it.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { Sb, genuine, plain, schema } from './lib/staticbackend.mjs'
import { System } from './lib/system.mjs'
import { now, sign } from './lib/token.mjs'

const KEY = 'shop-pk'
let system
const open = []
before(async () => {
  system = await System.start({ set: [`staticbackend.keys=${KEY}=shop`, 'realtime.message_rate_limit=0', 'staticbackend.id_column=no', 'staticbackend.account_column=tenant', 'staticbackend.owner_column=author',
    'staticbackend.data_column=doc', 'staticbackend.account_member=firm', 'staticbackend.owner_member=clerk', 'staticbackend.account_claim=org', 'staticbackend.user_claim=uid',
    'staticbackend.stripped=orders_760_,drafts_700_', 'staticbackend.check_expiry=false'] })
  await system.sql(`${schema('shop', [])}
    create table shop.orders (no bigint primary key, tenant int, author text, doc jsonb not null default '{}', created timestamp default now());
    create table shop.drafts (no int primary key, tenant int, author text, doc jsonb not null default '{}');
    create table shop.files_700_ (no int primary key, doc jsonb not null);
    create table shop.shared_740_ (no int primary key, doc jsonb not null);
    create table shop.prices_774_ (no int primary key, amount numeric, name text, tenant int);
    grant select on all tables in schema shop to authenticated; revoke select on shop.sb_tokens from authenticated;
    select enable_realtime('shop', name) from unnest(array['orders', 'drafts', 'files_700_', 'shared_740_', 'prices_774_']) name`)
})
beforeEach(() => system.settled())
after(async () => { for (const each of open) each.close(); await system?.stop() })

// Account 7 has two users, account 8 one. An account may be a number, in the token and in the table.
const token = (org, uid, claims = {}) => sign(system.jwtKey, { org, uid, exp: now() + 3600, ...claims })
async function client(jwt, options) {
  const sb = new Sb(system, KEY)
  open.push(sb)
  const answer = await sb.connect(jwt, options)
  assert.equal(answer.type, 'onAuth', JSON.stringify(answer))
  return sb
}
const three = () => Promise.all([token(7, 'ann'), token('7', 'bob'), token(8, 'eve')].map((jwt, at) => client(jwt, { socket: at === 1 })))
const documents = messages => messages.filter(message => message.type.startsWith('db_')).map(message => [message.type, JSON.parse(message.data)])

// What each is to get, and nothing else: the last write is one that everybody may see, in the same table.
async function hear(channel, statements, last, wanted) {
  const clients = await three()
  for (const sb of clients) assert.equal((await sb.join(channel)).type, 'joined')
  for (const statement of [...statements, ...last]) await system.sql(statement)
  for (const [at, sb] of clients.entries()) {
    const got = []
    while (got.length < wanted[at].length) got.push(await sb.take(message => message.type.startsWith('db_')))
    got.push(...await sb.drain())
    assert.deepEqual(documents(got), wanted[at], ['ann', 'bob', 'eve'][at])
    for (const message of got) if (message.type.startsWith('db_')) assert.equal(message.channel, channel)
    sb.close()
  }
}

test('columns by other names, a table without its suffix, an id that is a number', async () => {
  const first = { id: 9007199254740, accountId: 7, what: 'x' }
  const second = { id: 2, accountId: 8, what: 'y' }
  await hear('db-orders_760_', [`insert into shop.orders values (9007199254740, 7, 'ann', '{"what": "x"}')`, `update shop.orders set doc = '{"what": "z"}'`, 'delete from shop.orders'],
    [`insert into shop.orders values (2, 8, 'eve', '{"what": "y"}'), (3, 7, 'bob', '{}')`], [
      [['db_created', first], ['db_updated', { ...first, what: 'z' }], ['db_deleted', first.id], ['db_created', { id: 3, accountId: 7 }]],
      [['db_created', first], ['db_updated', { ...first, what: 'z' }], ['db_deleted', first.id], ['db_created', { id: 3, accountId: 7 }]],
      [['db_created', second]],
    ])
})

test('an owner by another name', async () => {
  await hear('db-drafts_700_', [`insert into shop.drafts values (1, 7, 'ann', '{}')`, 'update shop.drafts set tenant = 8', 'delete from shop.drafts'],
    [`insert into shop.drafts values (2, 7, 'ann', '{}'), (3, 7, 'bob', '{}'), (4, 7, 'eve', '{}')`], [
      [['db_created', { id: 1, accountId: 7 }], ['db_updated', { id: 1, accountId: 8 }], ['db_deleted', 1], ['db_created', { id: 2, accountId: 7 }]],
      [['db_created', { id: 3, accountId: 7 }]],
      [['db_created', { id: 4, accountId: 7 }]],
    ])
})

test('account and owner as members of the document', async () => {
  await hear('db-files_700_', [`insert into shop.files_700_ values (1, '{"clerk": "ann", "n": 1}'), (2, '{"n": 2}')`, `update shop.files_700_ set doc = doc || '{"clerk": "eve"}' where no = 1`, 'delete from shop.files_700_'],
    [`insert into shop.files_700_ values (3, '{"clerk": "ann"}'), (4, '{"clerk": "bob"}'), (5, '{"clerk": "eve"}')`], [
      [['db_created', { id: 1, clerk: 'ann', n: 1 }], ['db_deleted', 1], ['db_created', { id: 3, clerk: 'ann' }]],
      [['db_created', { id: 4, clerk: 'bob' }]],
      [['db_created', { id: 1, clerk: 'eve', n: 1 }], ['db_deleted', 1], ['db_created', { id: 5, clerk: 'eve' }]],
    ])
  await hear('db-shared_740_', [`insert into shop.shared_740_ values (1, '{"firm": 7}'), (2, '{"firm": "8"}'), (3, '{"firm": null}')`, 'delete from shop.shared_740_'],
    [`insert into shop.shared_740_ values (4, '{"firm": "7"}'), (5, '{"firm": 8}')`], [
      [['db_created', { id: 1, firm: 7 }], ['db_deleted', 1], ['db_created', { id: 4, firm: '7' }]],
      [['db_created', { id: 1, firm: 7 }], ['db_deleted', 1], ['db_created', { id: 4, firm: '7' }]],
      [['db_created', { id: 2, firm: '8' }], ['db_deleted', 2], ['db_created', { id: 5, firm: 8 }]],
    ])
})

test('a table of another shape is sent as it is', async () => {
  const row = { no: 1, amount: 1.50, name: 'x', tenant: 7 }
  const all = [['db_created', row], ['db_deleted', 1]]
  await hear('db-prices_774_', [`insert into shop.prices_774_ values (1, 1.50, 'x', 7)`], ['delete from shop.prices_774_'], [all, all, all])
})

test('a repository is known under its whole name only', async () => {
  const sb = await client(token(7, 'ann'))
  for (const name of ['db-orders', 'db-orders_774_', 'db-orders_777_', 'db-drafts', 'db-files', 'db-files_774_']) assert.equal((await sb.join(name)).type, 'error', name)
  assert.equal((await sb.join('db-orders_760_')).type, 'joined')
})

test('tokens: one that names no account sees its own and what is everybody\'s; StaticBackend\'s own may be old where it is said so', async () => {
  const single = await client(sign(system.jwtKey, { sub: 'ann', exp: now() + 60 }))
  for (const name of ['db-orders_760_', 'db-drafts_700_']) assert.equal((await single.join(name)).type, 'joined')
  await system.sql(`insert into shop.orders values (50, 7, 'ann', '{}')`)
  await system.sql(`insert into shop.drafts values (51, 7, 'ann', '{}')`)
  assert.equal(JSON.parse((await single.event('db_created')).data).id, 51)
  assert.deepEqual(documents(await single.drain()), [])
  const [{ id }] = await system.sql(`insert into shop.sb_tokens (account_id, token) values ($1, 'secret') returning id`, [randomUUID()])
  await system.settled()
  const old = await client(genuine(system, id, 'secret', { exp: now() - 3600 }))
  assert.equal((await old.join('room')).type, 'joined')
  const refused = new Sb(system, KEY)
  open.push(refused)
  assert.equal((await refused.connect(plain(system, '7', 'ann', { uid: 'ann', org: 7, exp: now() - 3600 }))).data, 'invalid token', 'a plain one may not')
})
