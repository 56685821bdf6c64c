// Tokens made without the server's code, good and bad ones.
import { createHmac } from 'node:crypto'

const b64 = value => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
export const now = () => Math.floor(Date.now() / 1000)

export function sign(key, claims, header = { alg: 'HS256', typ: 'JWT' }) {
  const body = `${b64(header)}.${b64(claims)}`
  const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }[header.alg] ?? 'sha256'
  return `${body}.${createHmac(hash, key).update(body).digest('base64url')}`
}

export function unsigned(claims, header = { alg: 'none', typ: 'JWT' }) {
  return `${b64(header)}.${b64(claims)}.`
}

export const user = (system, claims = {}) =>
  sign(system.jwtKey, { sub: '6f1c1c6e-0f0e-4b53-a8a5-1d6a2e0f8a01', role: 'authenticated', exp: now() + 3600, ...claims })
