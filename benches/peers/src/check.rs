//! Checks that all peers behave alike: they accept a good token and reject bad ones.

use http::{HeaderValue, StatusCode};

use crate::peer::Peer;
use crate::peers::{ROWS, Row};
use crate::table;
use crate::tokens::{Fault, Issuer};

/// Returns the statuses of rejected tokens, as a table.
///
/// # Panics
///
/// Panics if a peer rejects a good token or accepts a bad one. A peer that cannot make one of the checks
/// would need a note in the table and an exception here. None does at present.
pub(crate) fn check(issuers: &[Issuer]) -> String {
    let mut head = vec!["rejected with".to_owned()];
    head.extend(Fault::ALL.map(|fault| fault.name().to_owned()));
    let issuers: Vec<_> = issuers.iter().map(|issuer| (issuer, issuer.tokens())).collect();
    let rows: Vec<_> = ROWS.iter().map(|row| rejections(row, &issuers)).collect();
    table::markdown(&head, &rows)
}

fn rejections(row: &Row, issuers: &[(&Issuer, Vec<String>)]) -> Vec<String> {
    let mut cells = vec![table::name(row)];
    let mut statuses = Fault::ALL.map(|_| Vec::new());
    for (issuer, tokens) in issuers {
        let Some(mut peer) = (row.open)(issuer) else { continue };
        for token in tokens {
            let status = status(&mut *peer, token);
            assert_eq!(status, StatusCode::OK, "{} with {}", row.package, issuer.alg());
        }
        for (fault, statuses) in Fault::ALL.into_iter().zip(&mut statuses) {
            let status = status(&mut *peer, &issuer.bad_token(fault));
            assert_ne!(status, StatusCode::OK, "{} with {}, {}", row.package, issuer.alg(), fault.name());
            statuses.push(status.as_u16());
        }
    }
    cells.extend(statuses.map(once_each));
    cells
}

fn status(peer: &mut dyn Peer, token: &str) -> StatusCode {
    peer.load(&authorization(token));
    peer.answer()
}

/// Returns the `Authorization` header for this token.
pub(crate) fn authorization(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).expect("the token is ASCII")
}

fn once_each(mut statuses: Vec<u16>) -> String {
    statuses.sort_unstable();
    statuses.dedup();
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}
