//! Link options of libpytrace.so.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Hooks stay installed and threads come back into them: the library must never be unmapped. Everything is bound when
    // it is loaded, so that no hook runs into the loader.
    for option in ["nodelete", "now", "relro"] {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,{option}");
    }
}
