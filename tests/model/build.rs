//! Sets `cfg(tower_jwt_auth_model)` for `src/lib.rs`.

fn main() {
    println!("cargo::rustc-cfg=tower_jwt_auth_model");
}
