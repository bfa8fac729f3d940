//! The readers of XGBoost's and LightGBM's files: any bytes give a usable model or an error. Which reader runs is decided
//! by the first bytes, so that one corpus with all three kinds of files reaches each.
#![no_main]

use e2i_core::formats;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(Ok(trained)) = formats::read(bytes) {
        let row = vec![1.5; trained.ensemble.width];
        assert_eq!(trained.ensemble.sums(&row).len(), trained.ensemble.targets);
    }
});
