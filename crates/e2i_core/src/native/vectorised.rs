//! One loop, compiled once for each instruction set.
//!
//! The body of a `vectorised!` function is written in plain Rust over slices and arrays; the compiler turns its loops into
//! the widest instructions that the set allows. No set changes the order of operations: floating-point arithmetic is neither
//! reordered nor fused by the compiler, so every set gives the same bits.

/// Defines `fn name(set, arguments…)` that runs its body compiled for `set`.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident $(<$type:ident: $bound:path>)? ($($argument:ident: $of:ty),+ $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        #[inline]
        pub(in crate::native) fn $name $(<$type: $bound>)? (set: $crate::native::InstructionSet, $($argument: $of),+) {
            #[inline(always)]
            fn body $(<$type: $bound>)? ($($argument: $of),+) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2 $(<$type: $bound>)? ($($argument: $of),+) {
                body($($argument),+);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512 $(<$type: $bound>)? ($($argument: $of),+) {
                body($($argument),+);
            }

            match set.level() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: only detection makes a set.
                $crate::native::InstructionLevel::Avx2 => unsafe { avx2($($argument),+) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::native::InstructionLevel::Avx512 | $crate::native::InstructionLevel::Avx512Vbmi => unsafe {
                    avx512($($argument),+);
                },
                _ => body($($argument),+),
            }
        }
    };
}
pub(in crate::native) use vectorised;
