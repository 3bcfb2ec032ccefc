// Requests with client certificates (RFC 8705): a name, the expected outcome, and the parts of the request. Requests go
// over TLS with the certificate and key in `tls`, or over HTTP.
import { accepted, refused } from './send.mjs'

const missing = refused('MissingCertificate', 'Bearer')
const wrong = refused('WrongCertificate', 'Bearer')

const clientCert = ({ raw }) => ({ 'Client-Cert': `:${raw.toString('base64')}:` })
const digest = ({ fingerprint256 }) => fingerprint256.replaceAll(':', '').toLowerCase()
const xfcc = (value) => ({ 'X-Forwarded-Client-Cert': value })
const hash = (certificate) => xfcc(`By=spiffe://mesh/api;Hash=${digest(certificate)};Subject="CN=alice"`)
const cert = (certificate) => xfcc(`Cert="${encodeURIComponent(certificate.toString())}"`)

export const certificates = ({ alice, mallory }) => [
  ['certificate of the token', accepted, { tls: alice }],
  ['scheme in lower case', accepted, { tls: alice, scheme: 'bearer' }],
  ['no certificate', missing, { tls: {} }],
  ['another certificate', wrong, { tls: mallory }],
  ['scheme DPoP', refused('MissingBinding'), { tls: alice, scheme: 'DPoP' }],

  ['Client-Cert from the client, no certificate', missing, { tls: {}, headers: clientCert(alice.x509) }],
  ['Client-Cert from the client, another certificate', wrong, { tls: mallory, headers: clientCert(alice.x509) }],
  ['XFCC from the client, no certificate', missing, { tls: {}, headers: hash(alice.x509) }],
  ['XFCC from the client, another certificate', wrong, { tls: mallory, headers: cert(alice.x509) }],

  ['Client-Cert from an untrusted peer', missing, { headers: clientCert(alice.x509) }],
  ['XFCC hash from an untrusted peer', missing, { headers: hash(alice.x509) }],
  ['XFCC certificate from an untrusted peer', missing, { headers: cert(alice.x509) }],
]
