//! Writes inputs without a fault to `corpus/<target>/`: where the fuzzer starts from.

#[path = "../entries.rs"]
mod entries;

fn main() {
    for entry in entries::Entry::ALL {
        let dir = std::path::Path::new("corpus").join(entry.name());
        std::fs::create_dir_all(&dir).expect("a directory that can be made");
        for (at, seed) in entry.seeds().iter().enumerate() {
            std::fs::write(dir.join(format!("seed{at}")), seed)
                .expect("a file that can be written");
        }
    }
}
