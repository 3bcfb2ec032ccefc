use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Layer, Service};
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, RegisteredClaims};

fn gateway<S>(upstream: S, verifier: JwtVerifier<RegisteredClaims>)
where
    S: Service<Request<Incoming>, Response = Response<Incoming>> + Clone,
{
    serve(JwtAuthLayer::new(verifier).layer(upstream));
}

fn serve<S: Service<Request<Incoming>>>(_: S) {}

fn main() {}
