// Requests with client certificates (RFC 8705): a name, the expected outcome, the service and the parts of the request.
// The services `clientCert` and `xfcc` trust this header if it comes from the address of the proxy.
import { accepted, refused } from './send.mjs'

const missing = refused('MissingCertificate', 'Bearer')
const wrong = refused('WrongCertificate', 'Bearer')
const nobody = {}

export const certificates = ({ alice, mallory }) => {
  const base64 = ({ x509 }) => x509.raw.toString('base64')
  const digest = ({ x509 }) => x509.fingerprint256.replaceAll(':', '').toLowerCase()
  const pem = ({ x509 }) => encodeURIComponent(x509.toString())

  // Fields of `Client-Cert` (RFC 9440) and of Envoy's header.
  const clientCert = (...values) => ({ 'Client-Cert': values })
  const xfcc = (...values) => ({ 'X-Forwarded-Client-Cert': values })
  const [ofAlice, ofMallory] = [`:${base64(alice)}:`, `:${base64(mallory)}:`]
  const [hashOfAlice, hashOfMallory] = [`Hash=${digest(alice)}`, `Hash=${digest(mallory)}`]
  const byAlice = `By=spiffe://mesh/api;${hashOfAlice};Subject="CN=alice";URI=spiffe://mesh/alice`

  // A proxy has a certificate of its own.
  const proxy = (headers, tls = mallory) => ({ tls, headers, localAddress: '127.0.0.2' })

  return [
    ['certificate of the token', accepted, 'tls', { tls: alice }],
    ['certificate and scheme in lower case', accepted, 'tls', { tls: alice, scheme: 'bearer' }],
    ['certificate and scheme DPoP', refused('MissingBinding'), 'tls', { tls: alice, scheme: 'DPoP' }],
    ['no certificate', missing, 'tls', { tls: nobody }],
    ['another certificate', wrong, 'tls', { tls: mallory }],
    ['no TLS', missing, 'open', {}],

    ['Client-Cert without a proxy', missing, 'open', { headers: clientCert(ofAlice) }],
    ['XFCC without a proxy', missing, 'open', { headers: xfcc(byAlice) }],
    ['Client-Cert from nobody', missing, 'clientCert', { tls: nobody, headers: clientCert(ofAlice) }],
    ['Client-Cert from another client', wrong, 'clientCert', { tls: mallory, headers: clientCert(ofAlice) }],
    ['Client-Cert of another from the client', accepted, 'clientCert', { tls: alice, headers: clientCert(ofMallory) }],
    ['XFCC from nobody', missing, 'xfcc', { tls: nobody, headers: xfcc(byAlice) }],
    ['XFCC from another client', wrong, 'xfcc', { tls: mallory, headers: xfcc(byAlice) }],
    ['XFCC of another from the client', accepted, 'xfcc', { tls: alice, headers: xfcc(hashOfMallory) }],

    ['Client-Cert from the proxy', accepted, 'clientCert', proxy(clientCert(ofAlice))],
    ['Client-Cert from a proxy without certificate', accepted, 'clientCert', proxy(clientCert(ofAlice), nobody)],
    ['Client-Cert of another from the proxy', wrong, 'clientCert', proxy(clientCert(ofMallory))],
    ['no Client-Cert from the proxy', missing, 'clientCert', proxy({})],
    ["no Client-Cert, the token's certificate for the proxy", missing, 'clientCert', proxy({}, alice)],
    ['XFCC instead of Client-Cert', missing, 'clientCert', proxy(xfcc(byAlice))],
    ['Client-Cert without colons', missing, 'clientCert', proxy(clientCert(base64(alice)))],
    ['Client-Cert with PEM', missing, 'clientCert', proxy(clientCert(pem(alice)))],
    ['Client-Cert with a parameter', missing, 'clientCert', proxy(clientCert(`${ofAlice};a=1`))],
    ['Client-Cert in two fields', missing, 'clientCert', proxy(clientCert(ofAlice, ofAlice))],
    ['Client-Cert with two items', missing, 'clientCert', proxy(clientCert(`${ofMallory}, ${ofAlice}`))],

    ['XFCC with a hash', accepted, 'xfcc', proxy(xfcc(byAlice))],
    ['XFCC with a certificate', accepted, 'xfcc', proxy(xfcc(`Cert="${pem(alice)}"`))],
    ['XFCC with both', accepted, 'xfcc', proxy(xfcc(`${hashOfAlice};Cert="${pem(alice)}"`))],
    ['XFCC with the hash of another', wrong, 'xfcc', proxy(xfcc(hashOfMallory))],
    ['XFCC with the certificate of another', wrong, 'xfcc', proxy(xfcc(`Cert="${pem(mallory)}"`))],
    ['XFCC whose parts disagree', missing, 'xfcc', proxy(xfcc(`${hashOfAlice};Cert="${pem(mallory)}"`))],
    ['no XFCC from the proxy', missing, 'xfcc', proxy({})],
    ['Client-Cert instead of XFCC', missing, 'xfcc', proxy(clientCert(ofAlice))],
    ['XFCC without a hash', missing, 'xfcc', proxy(xfcc('By=spiffe://mesh/api;URI=spiffe://mesh/alice'))],
    ['XFCC with half a hash', missing, 'xfcc', proxy(xfcc(hashOfAlice.slice(0, 37)))],
    ['XFCC with a hash in the subject', wrong, 'xfcc', proxy(xfcc(`${hashOfMallory};Subject="CN=m;${hashOfAlice}"`))],
    ['XFCC with two hashes', missing, 'xfcc', proxy(xfcc(`${hashOfMallory};URI=m;${hashOfAlice}`))],
    ['XFCC of two proxies', missing, 'xfcc', proxy(xfcc(`${byAlice},${hashOfMallory}`))],
    ['XFCC in two fields', missing, 'xfcc', proxy(xfcc(byAlice, hashOfMallory))],
  ]
}
