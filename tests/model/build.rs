//! `cfg(shuttle)`, for `src/lib.rs`.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
}
