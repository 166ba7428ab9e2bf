//! Apply on real servers: changes come from a real slot, the target must end up as the source.

mod operate;
mod paths;
mod policies;
mod random;
mod rig;

use backlot::sink::apply::{OnError, Route};
use rig::Rig;

use crate::support::{some_servers, sql};

/// Runs `statements` on the source and follows: set-wise and row by row, binary and text, on every
/// server. The set-wise path must not have fallen back.
fn check(ddl: &str, statements: &[&str]) {
    for cluster in some_servers() {
        for (is_binary, route) in [
            (true, Route::Fast),
            (false, Route::Fast),
            (true, Route::Careful),
            (false, Route::Careful),
        ] {
            let mut rig = Rig::new(cluster, ddl, is_binary);
            let mut applier = rig.applier(OnError::Stop);
            for statement in statements {
                sql(&rig.source, statement);
                let outcome = rig.follow(&mut applier, &route);
                assert!(!outcome.is_replayed || statement.contains("default"), "{statement}");
                rig.assert_same();
            }
        }
    }
}
