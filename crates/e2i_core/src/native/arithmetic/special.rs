//! Functions of the normal distribution as scipy computes them: Moshier's approximations of the Cephes library.

/// A polynomial, from the highest power down.
fn polynomial(x: f64, cells: &[f64]) -> f64 {
    cells.iter().fold(0.0, |sum, cell| sum * x + cell)
}

/// The same, whose highest power has the factor 1.
fn monic(x: f64, cells: &[f64]) -> f64 {
    cells.iter().fold(1.0, |sum, cell| sum * x + cell)
}

const ERF_ABOVE: [f64; 5] =
    [9.604_973_739_870_516, 90.026_019_720_384_27, 2_232.005_345_946_843, 7_003.325_141_128_051, 55_592.301_301_039_49];
const ERF_BELOW: [f64; 5] = [
    33.561_714_164_750_31,
    521.357_949_780_152_7,
    4_594.323_829_709_801,
    22_629.000_061_389_095,
    49_267.394_260_863_59,
];
const ERFC_ABOVE: [f64; 9] = [
    2.461_969_814_735_305e-10,
    0.564_189_564_831_068_8,
    7.463_210_564_422_699,
    48.637_197_098_568_14,
    196.520_832_956_077_1,
    526.445_194_995_477_4,
    934.528_527_171_957_6,
    1_027.551_886_895_157,
    557.535_335_369_399_3,
];
const ERFC_BELOW: [f64; 8] = [
    13.228_195_115_474_5,
    86.707_214_088_598_97,
    354.937_778_887_819_9,
    975.708_501_743_205_5,
    1_823.909_166_879_097_3,
    2_246.337_608_187_11,
    1_656.663_091_941_613_5,
    557.535_340_817_727_7,
];
const FAR_ABOVE: [f64; 6] = [
    0.564_189_583_547_755_1,
    1.275_366_707_599_781,
    5.019_050_422_511_804,
    6.160_210_979_930_536,
    7.409_742_699_504_489,
    2.978_866_653_721_002_4,
];
const FAR_BELOW: [f64; 6] = [
    2.260_528_632_201_173,
    9.396_035_249_380_015,
    12.048_953_980_809_666,
    17.081_445_074_756_59,
    9.608_968_090_632_859,
    3.369_076_451_000_815,
];

/// The error function.
pub(in crate::native) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let size = x.abs();
    if size <= 1.0 {
        let z = x * x;
        return x * polynomial(z, &ERF_ABOVE) / monic(z, &ERF_BELOW);
    }
    let beyond = if size > 26.0 {
        0.0
    } else {
        let ratio = if size < 8.0 {
            polynomial(size, &ERFC_ABOVE) / monic(size, &ERFC_BELOW)
        } else {
            polynomial(size, &FAR_ABOVE) / monic(size, &FAR_BELOW)
        };
        (-size * size).exp() * ratio
    };
    (1.0 - beyond).copysign(x)
}

const CENTRE_ABOVE: [f64; 5] = [
    -59.963_350_101_410_79,
    98.001_075_418_599_97,
    -56.676_285_746_907_03,
    13.931_260_938_727_968,
    -1.239_165_838_673_812_6,
];
const CENTRE_BELOW: [f64; 8] = [
    1.954_488_583_381_417_6,
    4.676_279_128_988_815,
    86.360_242_139_089_06,
    -225.462_687_854_119_37,
    200.260_212_380_060_66,
    -82.037_225_616_833_34,
    15.905_622_512_621_17,
    -1.183_316_211_213_3,
];
const TAIL_ABOVE: [f64; 9] = [
    4.055_448_923_059_624_5,
    31.525_109_459_989_388,
    57.162_819_224_642_13,
    44.080_507_389_320_08,
    14.684_956_192_885_803,
    2.186_633_068_507_902_7,
    -0.140_256_079_171_354_5,
    -0.035_042_462_682_784_82,
    -8.574_567_851_546_854e-4,
];
const TAIL_BELOW: [f64; 8] = [
    15.779_988_325_646_675,
    45.390_763_512_887_92,
    41.317_203_825_467_2,
    15.042_538_569_290_75,
    2.504_649_462_083_094,
    -0.142_182_922_854_787_79,
    -0.038_080_640_769_157_83,
    -9.332_594_808_954_574e-4,
];
const END_ABOVE: [f64; 9] = [
    3.237_748_917_769_460_4,
    6.915_228_890_689_842,
    3.938_810_252_924_744_4,
    1.333_034_608_158_075_4,
    0.201_485_389_549_179_1,
    0.012_371_663_481_782_003,
    3.015_815_535_082_354_2e-4,
    2.658_069_746_867_375_5e-6,
    6.239_745_391_849_833e-9,
];
const END_BELOW: [f64; 8] = [
    6.024_270_393_647_42,
    3.679_835_638_561_608_7,
    1.377_020_994_890_813_2,
    0.216_236_993_594_496_64,
    0.013_420_400_608_854_318,
    3.280_144_646_821_277_4e-4,
    2.892_478_647_453_807e-6,
    6.790_194_080_099_813e-9,
];

/// The quantile of the normal distribution.
pub(in crate::native) fn normal_quantile(p: f64) -> f64 {
    const E_SQUARED: f64 = 0.135_335_283_236_612_7;
    const ROOT_OF_TWO_PI: f64 = 2.506_628_274_631_000_5;
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let is_upper = p > 1.0 - E_SQUARED;
    let tail = if is_upper { 1.0 - p } else { p };
    if tail > E_SQUARED {
        let y = tail - 0.5;
        let square = y * y;
        let x = y + y * (square * polynomial(square, &CENTRE_ABOVE) / monic(square, &CENTRE_BELOW));
        return x * ROOT_OF_TWO_PI;
    }
    let x = (-2.0 * tail.ln()).sqrt();
    let first = x - x.ln() / x;
    let z = 1.0 / x;
    let second = if x < 8.0 {
        z * polynomial(z, &TAIL_ABOVE) / monic(z, &TAIL_BELOW)
    } else {
        z * polynomial(z, &END_ABOVE) / monic(z, &END_BELOW)
    };
    if is_upper { first - second } else { second - first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_scipys() {
        // scipy.special.erf and ndtri of scipy 1.17.
        for (x, expected) in [
            (0.0_f64, 0.0),
            (0.3_f64, 0.3286267594591274),
            (-1.0_f64, -0.8427007929497148),
            (1.5_f64, 0.9661051464753108),
            (-3.0_f64, -0.9999779095030014),
            (9.0_f64, 1.0),
            (30.0_f64, 1.0),
        ] {
            assert!((erf(x) - expected).abs() <= 2e-16, "{x}: {}", erf(x));
        }
        for (p, expected) in [
            (1e-300, -37.0470962993612_f64),
            (1e-07, -5.1993375821928165_f64),
            (0.01, -2.3263478740408408_f64),
            (0.2, -0.8416212335729142_f64),
            (0.5, 0.0_f64),
            (0.7, 0.5244005127080407_f64),
            (0.99, 2.3263478740408408_f64),
            (0.9999999, 5.199337582290661_f64),
        ] {
            assert!((normal_quantile(p) - expected).abs() <= 4e-16 * expected.abs(), "{p}: {}", normal_quantile(p));
        }
    }
}
