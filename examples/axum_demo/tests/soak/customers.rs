//! Users with tokens of the provider, whose keys rotate often and cannot always be fetched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header};
use serde_json::json;
use tokio::time::sleep;

use crate::site::Excuse::Provider;
use crate::site::{Site, Until};

/// Time until a token is dropped, shorter than its lifetime.
const USED_FOR: Duration = Duration::from_secs(25);

struct Token {
    text: String,
    from: Instant,
    /// If true, the server has the key, also during an outage.
    was_accepted: bool,
}

/// Uses tokens at one server. The other server does not trust its provider.
pub(crate) async fn come_back(site: Arc<Site>, server: usize, seed: u64, until: Until) {
    let mut random = Rng::with_seed(seed);
    let mut tokens = VecDeque::new();
    while !until.is_over() {
        sleep(Duration::from_millis(random.u64(..20))).await;
        tokens.retain(|token: &Token| token.from.elapsed() < USED_FOR);
        match random.u8(..32) {
            0 => show_to_other(&site, server, &tokens).await,
            1 => show_forged(&site, server, &tokens, &mut random).await,
            2 | 3 => tokens.extend(get_token(&site, server).await),
            _ if tokens.is_empty() => tokens.extend(get_token(&site, server).await),
            _ => {
                let token = random.usize(..tokens.len());
                show(&site, server, &mut tokens[token]).await;
            }
        }
    }
}

async fn get_token(site: &Site, server: usize) -> Option<Token> {
    let (what, from) = ("provider: a token", Instant::now());
    let answer = site.ask(what, site.post(site.services[server], "/token")).await?;
    let is_good = site.judge(what, &answer, &[200], &[]);
    is_good.then_some(Token { text: answer.body, from, was_accepted: false })
}

async fn show(site: &Site, server: usize, token: &mut Token) {
    let (what, excuses) = match token.was_accepted {
        true => ("fetched keys, token used before", &[][..]),
        false => ("fetched keys, new token", &[Provider][..]),
    };
    let request = site.get(site.services[server], "/").bearer_auth(&token.text);
    if let Some(answer) = site.ask(what, request).await {
        let is_good = site.judge(what, &answer, &[200], excuses);
        token.was_accepted |= is_good;
        // The response is the key ID.
        if is_good && Some(&answer.body) != decode_header(&token.text).unwrap().kid.as_ref() {
            site.tally.fault(what, format!("another token's claims: {}", answer.body));
        }
    }
}

async fn show_to_other(site: &Site, server: usize, tokens: &VecDeque<Token>) {
    let Some(token) = tokens.back() else { return };
    let what = "fetched keys, of another issuer";
    let request = site.get(site.services[1 - server], "/").bearer_auth(&token.text);
    if let Some(answer) = site.ask(what, request).await {
        // The verifier looks up the key first, and checks the issuer after the signature.
        site.judge(what, &answer, &[401], &[Provider]);
    }
}

/// Sends a token that another key signed, or a changed one.
async fn show_forged(site: &Site, server: usize, tokens: &VecDeque<Token>, random: &mut Rng) {
    let (what, forged) = match tokens.back() {
        Some(token) if random.bool() => {
            let mut parts: Vec<&str> = token.text.split('.').collect();
            let claims = parts[1].chars().rev().collect::<String>();
            parts[1] = &claims;
            ("fetched keys, forged", parts.join("."))
        }
        _ => {
            let header = Header { kid: Some(random.u64(..).to_string()), ..Header::new(Algorithm::HS256) };
            let key = EncodingKey::from_secret(b"key").unwrap();
            let token = jsonwebtoken::encode(&header, &json!({"sub": "eze"}), &key);
            ("fetched keys, unknown key", token.unwrap())
        }
    };
    let request = site.get(site.services[server], "/").bearer_auth(forged);
    if let Some(answer) = site.ask(what, request).await {
        site.judge(what, &answer, &[401], &[Provider]);
    }
}
