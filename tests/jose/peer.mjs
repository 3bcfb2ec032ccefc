// Reads our JWK set and tokens from standard input, verifies them, and writes its verdicts, keys and tokens.
import { readFileSync } from 'node:fs'
import * as jose from 'jose'

const { algorithms, issuer, audience, jwks, tokens } = JSON.parse(readFileSync(0, 'utf8'))
const ours = jose.createLocalJWKSet(jwks)
const verdicts = {}
for (const [name, token] of Object.entries(tokens)) {
  verdicts[name] = await jose.jwtVerify(token, ours, { issuer, audience }).then(
    ({ payload }) => payload.sub,
    (error) => error.code,
  )
}

const theirs = {}
for (const alg of algorithms) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await jose.exportJWK(publicKey)), alg }
  const kid = await jose.calculateJwkThumbprint(jwk)
  const token = new jose.SignJWT({ sub: '42' })
    .setProtectedHeader({ alg, kid, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('5 minutes')
  theirs[alg] = {
    jwk: { ...jwk, kid, use: 'sig' },
    spki: await jose.exportSPKI(publicKey),
    pkcs8: await jose.exportPKCS8(privateKey),
    token: await token.sign(privateKey),
  }
}
console.log(JSON.stringify({ verdicts, theirs }))
