//! Which instructions the kernels may use.
//!
//! An [`InstructionSet`] is the proof that the processor has the instructions: only detection makes one. So a kernel that is
//! compiled for more than every processor has may be called for nothing but the set that it is given.

use std::fmt;

use once_cell::sync::Lazy;

/// Instructions by their name, each level containing the one before. Every one gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionLevel {
    /// What every processor of the architecture has.
    Portable,
    /// x86-64 with AVX2 and what came with it: FMA, BMI.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 with byte permutations (VBMI).
    Avx512Vbmi,
}

impl InstructionLevel {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vbmi];

    /// The name used in settings and descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vbmi => "avx512vbmi",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vbmi => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vbmi"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// Instructions that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstructionSet(InstructionLevel);

impl InstructionSet {
    /// What every processor has.
    pub const PORTABLE: Self = Self(InstructionLevel::Portable);

    /// The set, on the caller's word.
    ///
    /// # Safety
    /// The processor must have the instructions wherever the set is used.
    #[allow(unsafe_code)]
    pub(super) const unsafe fn assumed(level: InstructionLevel) -> Self {
        Self(level)
    }

    /// The sets that this processor has, the least first.
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        InstructionLevel::ALL.into_iter().filter(|level| level.is_available()).map(Self)
    }

    /// The greatest of them that is no more than `level`.
    #[must_use]
    pub fn at_most(level: InstructionLevel) -> Self {
        Self::available().rfind(|set| set.0 <= level).unwrap_or(Self::PORTABLE)
    }

    /// The greatest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        static BEST: Lazy<InstructionSet> = Lazy::new(|| InstructionSet::at_most(InstructionLevel::Avx512Vbmi));
        *BEST
    }

    /// The set of that name, if this processor has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::available().find(|set| set.name() == name)
    }

    /// Which instructions it is.
    #[inline]
    #[must_use]
    pub fn level(self) -> InstructionLevel {
        self.0
    }

    /// The name used in settings and descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_lowered_to_what_the_processor_has() {
        let available: Vec<InstructionSet> = InstructionSet::available().collect();
        assert_eq!(available.first(), Some(&InstructionSet::PORTABLE));
        assert_eq!(available.last(), Some(&InstructionSet::best()));
        for level in InstructionLevel::ALL {
            let set = InstructionSet::at_most(level);
            assert!(set.level() <= level && available.contains(&set), "{level:?} gives {set}");
            assert_eq!(InstructionSet::from_name(level.name()).is_some(), set.level() == level);
        }
    }
}
