//! Writes the good tokens of the target `jws` into its seeds: `cargo run --example tokens`.

use tower_jwt_auth_fuzz::{SIGNERS, good_payload};

fn main() -> std::io::Result<()> {
    for signer in &*SIGNERS {
        let name = format!("{}/seeds/jws/token-{}", env!("CARGO_MANIFEST_DIR"), signer.name.to_lowercase());
        std::fs::write(name, signer.token(signer.header(), good_payload()))?;
    }
    Ok(())
}
