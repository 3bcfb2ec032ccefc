//! Each program in `cases` has one mistake; its `.stderr` is what the compiler answers. Renew them with `TRYBUILD=overwrite`,
//! and read them: the first lines have to say what to write instead.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
