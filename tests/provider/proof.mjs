// Signs DPoP proofs of any form, also those that libraries refuse to make.
import { createHash, createHmac, randomUUID, sign } from 'node:crypto'

export const hash = (text) => createHash('sha256').update(text).digest('base64url')
export const now = () => Math.floor(Date.now() / 1000)

const ecdsa = (digest) => (data, key) => sign(digest, data, { key, dsaEncoding: 'ieee-p1363' })
const signatures = {
  ES256: ecdsa('sha256'),
  ES384: ecdsa('sha384'),
  EdDSA: (data, key) => sign(null, data, key),
  RS256: (data, key) => sign('sha256', data, key),
  HS256: (data, secret) => createHmac('sha256', secret).update(data).digest(),
}

// Signs with `key`. Objects become JSON; texts and bytes stay as they are.
const seal = (header, payload, key, alg) => {
  const isRaw = (part) => typeof part === 'string' || Buffer.isBuffer(part)
  const encode = (part) => Buffer.from(isRaw(part) ? part : JSON.stringify(part)).toString('base64url')
  const data = `${encode(header)}.${encode(payload)}`
  return `${data}.${key ? signatures[alg](data, key).toString('base64url') : ''}`
}

// The parts of a request with a proof that the service accepts.
export const honest = ({ url, token, holder, method = 'GET' }) => ({
  url,
  method,
  scheme: 'DPoP',
  token,
  header: { typ: 'dpop+jwt', alg: holder.alg, jwk: holder.jwk },
  claims: { jti: randomUUID(), htm: method, htu: url, iat: now(), ath: hash(token) },
  key: holder.key,
  // Signs with this algorithm, whatever the header says.
  alg: holder.alg,
})

export const prove = ({ header, claims, key, alg }) => seal(header, claims, key, alg)
