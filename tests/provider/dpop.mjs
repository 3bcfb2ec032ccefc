// Requests with DPoP proofs (RFC 9449): a name, the expected outcome, and a change of an accepted request.
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { after, asMallory, both, claims, header, hmac, htu, jwk, negated, parts } from './changes.mjs'
import { proof, rewritten, rsa, signature, signatureOfAnother, token, twice } from './changes.mjs'
import { now } from './proof.mjs'
import { accepted, refused } from './send.mjs'

const malformed = refused('MalformedProof')
const wrongSignature = refused('InvalidProofSignature')
const wrongRequest = refused('WrongProofRequest')
const wrongToken = refused('WrongProofToken')
const wrongTime = refused('WrongProofTime')
const wrongKey = refused('WrongProofKey')
const replayed = refused('ReplayedProof')
const constrained = refused('SenderConstrained', 'Bearer')

const tokens = [
  ['scheme in lower case', accepted, parts({ scheme: 'dpop' })],
  ['scheme in upper case', accepted, parts({ scheme: 'DPOP' })],
  ['bound token as Bearer with a proof', constrained, parts({ scheme: 'Bearer' })],
  ['bound token as Bearer without a proof', constrained, parts({ scheme: 'Bearer', proof: [] })],
  ['unbound token as DPoP', refused('MissingBinding'), token('unbound')],
  ['unbound token as Bearer', accepted, both(token('unbound'), parts({ scheme: 'Bearer', proof: [] }))],
  ['unbound token as Bearer with a proof', accepted, both(token('unbound'), parts({ scheme: 'Bearer' }))],
  ['token that is bound to a certificate', refused('MissingCertificate'), token('certified')],
  ["another client's token with the own proof", wrongKey, token('mallory')],
]

const fields = [
  ['no proof', refused('MissingProof'), parts({ proof: [] })],
  ['empty proof', malformed, parts({ proof: '' })],
  ['same proof in two fields', malformed, proof((proof) => [proof, proof])],
  ['proof and another text in two fields', malformed, proof((proof) => [proof, 'a.b.c'])],
  ['proofs with a comma', malformed, proof((proof) => `${proof}, ${proof}`)],
  ['scheme before the proof', malformed, proof((proof) => `DPoP ${proof}`)],
  ['proof in quotes', malformed, proof((proof) => `"${proof}"`)],
  ['proof with two parts', malformed, proof((proof) => proof.split('.', 2).join('.'))],
  ['proof with four parts', malformed, proof((proof) => `${proof}.`)],
  ['proof with padding', wrongSignature, proof((proof) => `${proof}==`)],
  ['access token as the proof', malformed, proof((proof, request, world) => world.tokens.unbound)],
  ['proof of 10 kB', malformed, claims({ filler: 'x'.repeat(10_000) })],
]

const headers = [
  ['no typ', malformed, header({ typ: undefined })],
  ['typ JWT', malformed, header({ typ: 'JWT' })],
  ['typ at+jwt', malformed, header({ typ: 'at+jwt' })],
  ['typ with a space', malformed, header({ typ: 'dpop+jwt ' })],
  ['typ number', malformed, header({ typ: 1 })],
  ['typ in upper case', malformed, header({ typ: 'DPoP+JWT' })],
  ['typ with application/', malformed, header({ typ: 'application/dpop+jwt' })],
  ['typ twice', malformed, twice('header', 'typ', 'dpop+jwt')],
  ['typ twice, once with an escape', malformed, twice('header', '\\u0074yp', 'dpop+jwt')],
  ['no alg', malformed, header({ alg: undefined })],
  ['alg none', malformed, both(header({ alg: 'none' }), parts({ key: undefined }))],
  ['alg None with a signature', malformed, header({ alg: 'None' })],
  ['alg HS256 with the public key as secret', malformed, hmac()],
  ['alg HS256 with the secret in jwk', malformed, hmac({ kty: 'oct', k: Buffer.alloc(32).toString('base64url') })],
  ['alg of another curve', malformed, header({ alg: 'ES384' })],
  ['alg of another type of key', malformed, header({ alg: 'RS256' })],
  ['alg in lower case', malformed, header({ alg: 'es256' })],
  ['alg number', malformed, header({ alg: 7 })],
  ['no jwk', malformed, header({ jwk: undefined })],
  ['jwk null', malformed, header({ jwk: null })],
  ['jwk string', malformed, header({ jwk: (jwk) => JSON.stringify(jwk) })],
  ['jwk list', malformed, header({ jwk: (jwk) => [jwk] })],
  ['jwk set', malformed, header({ jwk: (jwk) => ({ keys: [jwk] }) })],
  ['jwk with private part', malformed, (request) => jwk({ d: request.key.export({ format: 'jwk' }).d })(request)],
  ['jwk with an empty private part', malformed, jwk({ d: '' })],
  ['jwk with an escaped private part', malformed, rewritten('header', '"kty"', '"\\u0064":"AA","kty"')],
  ['jwk with a member twice', malformed, rewritten('header', '"kty"', '"kty":"EC","kty"')],
  ['jwk with another unknown member', accepted, jwk({ unknown: true, kid: '1' })],
  ['jwk without a coordinate', malformed, jwk({ y: undefined })],
  ['jwk with a point off the curve', malformed, header({ jwk: (jwk) => ({ ...jwk, y: jwk.x }) })],
  ['jwk with an unknown curve', malformed, jwk({ crv: 'P-255' })],
  ['jwk for encryption', malformed, jwk({ use: 'enc' })],
  ['kid only', malformed, header({ jwk: undefined, kid: '1' })],
  ['x5c only', malformed, header({ jwk: undefined, x5c: ['MIIB'] })],
  ['jku only', malformed, header({ jwk: undefined, jku: 'https://api.example.com/keys' })],
  ['RSA key with 1024 bits', malformed, rsa(1024)],
  ['RSA key with 2048 bits', wrongKey, rsa(2048)],
  ['crit', malformed, header({ crit: ['exp'] })],
  ['empty crit', malformed, header({ crit: [] })],
  ['critical b64', malformed, header({ b64: false, crit: ['b64'] })],
  ['b64 that is not critical', malformed, header({ b64: false })],
  ['header not JSON', malformed, parts({ header: 'no JSON' })],
  ['header list', malformed, parts({ header: (header) => [header] })],
]

const signatures = [
  ['key of another client', wrongKey, asMallory],
  ['jwk of another client', wrongKey, (request, { mallory }) => header({ jwk: mallory.jwk })(request)],
  ['signature of another client', wrongSignature, (request, { mallory }) => parts({ key: mallory.key })(request)],
  ['signature of another proof', wrongSignature, signatureOfAnother],
  ['no signature', wrongSignature, signature(() => Buffer.alloc(0))],
  ['truncated signature', wrongSignature, signature((bytes) => bytes.subarray(1))],
  ['signature twice', wrongSignature, signature((bytes) => Buffer.concat([bytes, bytes]))],
  ['signature of zeros', wrongSignature, signature((bytes) => bytes.fill(0))],
  ['signature with one other bit', wrongSignature, signature((bytes) => bytes.fill(bytes[9] ^ 1, 9, 10))],
]

const payloads = [
  ['payload not JSON', malformed, parts({ claims: 'no JSON' })],
  ['empty payload', malformed, parts({ claims: '' })],
  ['payload list', malformed, parts({ claims: (claims) => [claims] })],
  ['payload null', malformed, parts({ claims: 'null' })],
  ['payload not UTF-8', malformed, parts({ claims: ({ htu }) => Buffer.from(`{"htu":"${htu}\xff"}`, 'latin1') })],
  ['deeply nested claim', malformed, rewritten('claims', '{', `{"deep":${'['.repeat(1500)}${']'.repeat(1500)},`)],
  ['unknown claim', accepted, claims({ unknown: { a: [1] } })],
  ['no jti', malformed, claims({ jti: undefined })],
  ['empty jti', malformed, claims({ jti: '' })],
  ['jti of 1 kB', accepted, claims({ jti: (jti) => jti + 'x'.repeat(1000) })],
  ['jti number', malformed, claims({ jti: 1 })],
  ['no htm', malformed, claims({ htm: undefined })],
  ['htm number', malformed, claims({ htm: 1 })],
  ['htm twice', malformed, twice('claims', 'htm', 'GET')],
  ['htm of another method', wrongRequest, claims({ htm: 'POST' })],
  ['htm in lower case', wrongRequest, claims({ htm: 'get' })],
  ['method of another request', wrongRequest, parts({ method: 'POST' })],
  ['method HEAD', wrongRequest, parts({ method: 'HEAD' })],
  ['htm and method POST', accepted, both(parts({ method: 'POST' }), claims({ htm: 'POST' }))],
  ['no htu', malformed, claims({ htu: undefined })],
  ['htu list', malformed, claims({ htu: (url) => [url] })],
  ['htu of another host', wrongRequest, htu({ hostname: 'localhost' })],
  ['htu of another port', wrongRequest, htu({ port: '1' })],
  ['htu of another scheme', wrongRequest, htu({ protocol: 'https' })],
  ['htu of another path', wrongRequest, htu({ pathname: '/invoices' })],
  ['htu with path in upper case', wrongRequest, htu({ pathname: '/ORDERS' })],
  ['htu of the root', wrongRequest, htu({ pathname: '/' })],
  ['htu with trailing slash', wrongRequest, htu({ pathname: '/orders/' })],
  ['htu with a user', wrongRequest, htu({ username: 'api' })],
  ['htu without host', wrongRequest, claims({ htu: '/orders' })],
  ['empty htu', wrongRequest, claims({ htu: '' })],
  ['htu with a query', accepted, htu({ search: 'page=1' })],
  ['htu with a fragment', accepted, htu({ hash: 'top' })],
  ['htu of another public URL', accepted, claims({ htu: 'https://api.example.com/orders' })],
  ['htu with the default port', accepted, claims({ htu: 'https://api.example.com:443/orders' })],
  ['htu with host in upper case', accepted, claims({ htu: 'HTTPS://API.EXAMPLE.COM/orders' })],
  ['htu with an escape', accepted, claims({ htu: (url) => url.replace('/orders', '/%6Frders') })],
  ['htu with dots', accepted, claims({ htu: (url) => url.replace('/orders', '/a/.././orders') })],
  ['htu with an escaped slash', wrongRequest, claims({ htu: (url) => url.replace('/orders', '%2Forders') })],
  ['path with an escape', accepted, parts({ url: (url) => url.replace('/orders', '/%6Frders') })],
  ['path with dots', wrongRequest, parts({ path: '/a/../orders' })],
  ['path with a query', accepted, parts({ url: (url) => `${url}?page=2` })],
  ['path of another request', wrongRequest, parts({ url: (url) => url.replace('/orders', '/invoices') })],
  ['no iat', malformed, claims({ iat: undefined })],
  ['iat string', malformed, claims({ iat: String })],
  ['iat 50 seconds ago', accepted, claims({ iat: (iat) => iat - 50 })],
  ['iat 60 seconds ago', wrongTime, claims({ iat: (iat) => iat - 60 })],
  ['iat in 5 seconds', accepted, claims({ iat: (iat) => iat + 5 })],
  ['iat in 15 seconds', wrongTime, claims({ iat: (iat) => iat + 15 })],
  ['iat very large', wrongTime, claims({ iat: 1e300 })],
  ['iat in milliseconds', wrongTime, claims({ iat: Date.now() })],
  ['negative iat', wrongTime, claims({ iat: -1 })],
  ['iat with a fraction', accepted, claims({ iat: (iat) => iat - 0.5 })],
  ['exp ten minutes ago', wrongTime, claims({ exp: now() - 600 })],
  ['nbf in ten minutes', wrongTime, claims({ nbf: now() + 600 })],
  ['no ath', malformed, claims({ ath: undefined })],
  ['ath number', malformed, claims({ ath: 1 })],
  ['ath in hexadecimal', wrongToken, claims({ ath: (ath) => Buffer.from(ath, 'base64url').toString('hex') })],
  ['ath with padding', wrongToken, claims({ ath: (ath) => `${ath}=` })],
  ['ath of another token', wrongToken, (request, { tokens }) => parts({ token: tokens.again })(request)],
  ['nonce number', malformed, claims({ nonce: 1 })],
  ['nonce that nobody asked for', accepted, claims({ nonce: 'made-up' })],
]

const replays = [
  ['same proof again', replayed, both(proof((proof) => proof), after())],
  ['same claims with a new signature', replayed, after()],
  ['same claims with the other ECDSA signature', replayed, both(proof((proof) => proof), after(signature(negated)))],
  ['same jti for another token', replayed, after(token('again'))],
  ['same jti after a rejection', accepted, both(claims({ htm: 'POST' }), after(claims({ htm: 'GET' })))],
  ['same jti of another client', accepted, after(token('mallory'), asMallory)],
]

const unchanged = ['nothing', accepted, () => {}]
export const proofs = [unchanged, ...tokens, ...fields, ...headers, ...signatures, ...payloads, ...replays]

// For a service that requires bound tokens.
export const required = [
  unchanged,
  ['unbound token as Bearer', refused('MissingBinding', 'Bearer'), both(token('unbound'), parts({ scheme: 'Bearer' }))],
  ['unbound token as DPoP', refused('MissingBinding'), token('unbound')],
]

// For a service that requires nonces, which live for four seconds.
const wrongNonce = refused('WrongProofNonce')
export const nonces = [
  unchanged,
  ['no nonce', wrongNonce, claims({ nonce: undefined })],
  ['empty nonce', wrongNonce, claims({ nonce: '' })],
  ['made-up nonce', wrongNonce, claims({ nonce: 'made-up' })],
  ['nonce without its end', wrongNonce, claims({ nonce: (nonce) => nonce.replace(/.$/, '') })],
  ['nonce of another service', wrongNonce, (request, { foreignNonce }) => claims({ nonce: foreignNonce })(request)],
  ['same nonce for another proof', accepted, after(claims({ jti: () => randomUUID() }))],
  ['same proof again', replayed, after()],
  ['wrong key and no nonce', wrongKey, both(claims({ nonce: undefined }), asMallory)],
  ['nonce of four seconds ago', wrongNonce, () => setTimeout(4100)],
]
