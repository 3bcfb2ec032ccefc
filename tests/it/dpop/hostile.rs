//! Proofs that attack the parser. The client has a good token in all of them.

use http::HeaderValue;
use tower_jwt_auth::AuthErrorKind::*;

use super::*;

#[tokio::test]
async fn rejects_long_proofs() {
    let (layer, token) = (layer(), bound_token());
    let with_filler = |length: usize| Proof::of(&token).claim("filler", "x".repeat(length)).sign();
    let length = |filler: usize| with_filler(filler).len();
    // Four characters for three bytes.
    let longest =
        (0..).map(|step| 8700 + step).take_while(|filler| length(*filler) <= 12 * 1024).last().unwrap();
    assert!(length(longest) > 12 * 1024 - 4);
    assert_accepted("longest", &ask(&layer, send(&token, &with_filler(longest))).await);
    for filler in [longest + 3, 100_000, 1_000_000] {
        let response = ask(&layer, send(&token, &with_filler(filler))).await;
        assert_eq!(kind_of(&response), Some(MalformedProof), "{filler}");
    }
    for text in [".".repeat(12_000), "a.".repeat(6000), "A".repeat(1_000_000)] {
        assert_eq!(kind_of(&ask(&layer, send(&token, &text)).await), Some(MalformedProof));
    }
}

#[tokio::test]
async fn rejects_deep_json() {
    let (layer, token) = (layer(), bound_token());
    let proof = Proof::of(&token);
    let (header, claims) = (proof.header.to_string(), proof.claims.to_string());
    let with = |object: &str, member: &str| format!("{},{member}}}", &object[..object.len() - 1]);
    for (name, open, close) in [("arrays", "[", "]"), ("objects", "{\"a\":", "}")] {
        // Members that are ignored are not parsed into a tree.
        for (depth, ignored) in [(200, None), (1000, None), (1100, Some(MalformedProof))] {
            let deep = format!("\"a\":{}1{}", open.repeat(depth), close.repeat(depth));
            let proof = Proof::of(&token);
            let (header, claims) = (proof.header.to_string(), proof.claims.to_string());
            for (part, signed, kind) in [
                (
                    "key",
                    proof.sign_text(header.replace("\"crv\"", &format!("{deep},\"crv\"")), &claims),
                    Some(MalformedProof),
                ),
                ("header", proof.sign_text(with(&header, &deep), &claims), ignored),
                ("claims", proof.sign_text(&header, with(&claims, &deep).replace("proof", "other")), ignored),
            ] {
                let response = ask(&layer, send(&token, &signed)).await;
                assert_eq!(kind_of(&response), kind, "{depth} {name} in the {part}");
            }
        }
    }
    // A text that serde_json may parse as JSON of its own.
    let nested = |depth: usize| {
        let text = json!("[".repeat(depth)).to_string();
        format!(r#""a":{{"$serde_json::private::RawValue":{text}}}"#)
    };
    for signed in [
        proof.sign_text(with(&header, &nested(4000)), &claims),
        proof.sign_text(&header, with(&claims, &nested(4000))),
    ] {
        assert_eq!(kind_of(&ask(&layer, send(&token, &signed)).await), Some(MalformedProof));
    }
}

#[tokio::test]
async fn ignores_many_members() {
    let layer = layer();
    let many: serde_json::Map<_, _> = (0..700).map(|number| (format!("m{number}"), json!(0))).collect();
    let response = try_proof(&layer, |mut proof| {
        proof.claims.as_object_mut().unwrap().extend(many.clone());
        proof
    })
    .await;
    assert_accepted("claims", &response);
    let response = try_proof(&layer, |mut proof| {
        proof.header.as_object_mut().unwrap().extend(many.clone());
        proof
    })
    .await;
    assert_accepted("header", &response);
    let mut jwk = public_jwk(Algorithm::ES256);
    jwk.as_object_mut().unwrap().extend(many);
    assert_accepted("key", &try_proof(&layer, |proof| proof.header("jwk", jwk)).await);
}

#[tokio::test]
async fn reads_odd_strings_without_panic() {
    let (layer, token) = (layer(), bound_token());
    for (name, place, text, kind) in [
        ("surrogate in the jti", "proof-", r"\ud800", Some(MalformedProof)),
        ("pair of surrogates in the jti", "proof-", r"\ud83d\ude00", None),
        ("NUL in the jti", "proof-", r"\u0000", None),
        ("surrogate in the method", "GET", r"\udc00GET", Some(MalformedProof)),
        ("control character in the URL", "/orders", r"/orders\n", Some(WrongProofRequest)),
        ("NUL in the URL", "/orders", r"/orders\u0000", Some(WrongProofRequest)),
        ("escape in the URL", "/orders", r"/orders%", Some(WrongProofRequest)),
        ("half an escape of a character", "/orders", r"/%C3%28", Some(WrongProofRequest)),
        ("other script in the URL", "/orders", "/örders", Some(WrongProofRequest)),
    ] {
        let proof = Proof::of(&token);
        let claims = proof.claims.to_string().replace(place, text);
        let response = ask(&layer, send(&token, &proof.sign_text(proof.header.to_string(), claims))).await;
        assert_eq!(kind_of(&response), kind, "{name}");
    }
    for (name, place, text, kind) in [
        ("surrogate in the type", "dpop+jwt", r"\ud800", MalformedProof),
        ("surrogate in the algorithm", "ES256", r"\udfff", MalformedProof),
        ("surrogate in the key", "P-256", r"P-256\ud800", MalformedProof),
        ("NUL in the key", "P-256", r"P-256\u0000", MalformedProof),
        ("quotation mark in the key", "P-256", r#"P-256\",\"kty\":\"EC"#, MalformedProof),
    ] {
        let proof = Proof::of(&token);
        let header = proof.header.to_string().replace(place, text);
        let response = ask(&layer, send(&token, &proof.sign_text(header, proof.claims.to_string()))).await;
        assert_eq!(kind_of(&response), Some(kind), "{name}");
    }
}

#[tokio::test]
async fn private_names_have_no_meaning() {
    let layer = layer();
    let raw = |text: Value| json!({"$serde_json::private::RawValue": text.to_string()});
    let number = json!({"$serde_json::private::Number": NOW.to_string()});
    for (name, value, kind) in [
        ("iat", number, Some(MalformedProof)),
        ("jti", raw(json!("j")), Some(MalformedProof)),
        ("htm", raw(json!("GET")), Some(MalformedProof)),
        ("extra", raw(json!("j")), None),
    ] {
        assert_eq!(kind_of(&try_proof(&layer, |proof| proof.claim(name, value)).await), kind, "{name}");
    }
    for (name, value) in [
        ("typ", raw(json!("dpop+jwt"))),
        ("alg", raw(json!("ES256"))),
        ("jwk", raw(public_jwk(Algorithm::ES256))),
    ] {
        let response = try_proof(&layer, |proof| proof.header(name, value)).await;
        assert_eq!(kind_of(&response), Some(MalformedProof), "{name}");
    }
}

#[tokio::test]
async fn rejects_a_thousand_proofs() {
    let token = bound_token();
    let mut request = send(&token, &Proof::of(&token).sign());
    for _ in 0..1000 {
        request.headers_mut().append("dpop", Proof::of(&token).sign_text("{}", "{}").parse().unwrap());
    }
    assert_eq!(kind_of(&ask(&layer(), request).await), Some(MalformedProof));
}

#[tokio::test]
async fn rejects_every_changed_character() {
    let (layer, token) = (layer(), bound_token());
    let good = Proof::of(&token).sign();
    for position in 0..good.len() {
        for other in [b'A', b'_', b'.', b'=', b' ', b'"', 0xff] {
            let mut changed = good.clone().into_bytes();
            if changed[position] == other {
                continue;
            }
            changed[position] = other;
            let mut request = send(&token, "");
            request.headers_mut().insert("dpop", HeaderValue::from_bytes(&changed).unwrap());
            let response = ask(&layer, request).await;
            assert_eq!(response.status(), 401, "{}", String::from_utf8_lossy(&changed));
        }
    }
    assert_accepted("good", &ask(&layer, send(&token, &good)).await);
}
