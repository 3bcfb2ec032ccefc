// Changes of a request with a proof. The request has the parts of `honest` in `proof.mjs`. If it has `proof`, that is
// sent instead of a proof of these parts. `world` has the keys and tokens of others.
import { generateKeyPairSync } from 'node:crypto'
import { hash, prove } from './proof.mjs'

// Members can be functions of the old value. JSON leaves out members that are `undefined`.
const change = (object, members) => {
  for (const [name, value] of Object.entries(members)) {
    object[name] = typeof value === 'function' ? value(object[name]) : value
  }
}
export const parts = (members) => (request) => change(request, members)
export const header = (members) => (request) => change(request.header, members)
export const claims = (members) => (request) => change(request.claims, members)
export const jwk = (members) => header({ jwk: (jwk) => ({ ...jwk, ...members }) })
export const htu = (members) => claims({ htu: (text) => String(Object.assign(new URL(text), members)) })

// Sends another proof, made from the honest one.
export const proof = (from) => (request, world) => {
  request.proof = from(request.proof ?? prove(request), request, world)
}
const signed = (proof) => proof.slice(0, proof.lastIndexOf('.'))
const signatureOf = (proof) => Buffer.from(proof.slice(signed(proof).length + 1), 'base64url')
export const signature = (from) =>
  proof((proof, ...rest) => `${signed(proof)}.${from(signatureOf(proof), ...rest).toString('base64url')}`)
export const signatureOfAnother = signature((_, request) => {
  return signatureOf(prove({ ...request, claims: { ...request.claims, jti: 'another' } }))
})

// The signature with the same `r` and `n - s`, which is valid too.
export const negated = (bytes) => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = order - BigInt(`0x${bytes.toString('hex', 32)}`)
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}

// Changes the JSON text of the header or the claims.
export const rewritten = (part, from, to) => (request) => {
  request[part] = JSON.stringify(request[part]).replace(from, to)
}
export const twice = (part, name, value) => rewritten(part, /}$/, `,"${name}":"${value}"}`)

// Sends another token, with a proof for it.
export const token = (name) => (request, world) => {
  request.token = world.tokens[name]
  request.claims.ath = hash(request.token)
}

// Signs with another key, which the proof names.
export const holder = ({ alg, jwk, key }) => (request) => {
  Object.assign(request, { alg, key })
  Object.assign(request.header, { alg, jwk })
}
export const asMallory = (request, { mallory }) => holder(mallory)(request)
export const rsa = (modulusLength) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength })
  return holder({ alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }), key: privateKey })
}

// Signs with a public key as the secret, as an attacker who has no other.
export const hmac = (jwk) => (request) => {
  request.alg = request.header.alg = 'HS256'
  request.header.jwk = jwk ?? request.header.jwk
  request.key = jwk ? Buffer.from(jwk.k, 'base64url') : JSON.stringify(request.header.jwk)
}

// Sends the request, then changes it.
export const after = (...changes) => async (request, world) => {
  await world.send(request)
  for (const change of changes) await change(request, world)
}
export const both = (...changes) => async (request, world) => {
  for (const change of changes) await change(request, world)
}
