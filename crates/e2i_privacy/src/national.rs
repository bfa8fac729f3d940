//! Numbers that the United States give to people: social security (`US_SSN`) and health care providers (`US_NPI`).

use crate::cursor::{Written, luhn, number};

/// What 80840, the prefix of health applications in the United States, adds to Luhn's sum of an NPI.
const NPI_PREFIX: u32 = 24;

/// Three, two and four digits, separated alike; nine digits in a row are too common to mean anything. Never given out are
/// the areas 000, 666 and 900 to 999, group 00 and serial 0000:
/// <https://www.ssa.gov/employer/randomizationfaqs.html>.
pub(crate) fn is_ssn(written: Written<'_>) -> bool {
    if written.lengths != [3, 2, 4] || !written.uniform {
        return false;
    }
    let (area, group, serial) =
        (number(&written.digits[..3]), number(&written.digits[3..5]), number(&written.digits[5..]));
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

/// Ten digits, in a row or as four, three and three, of which the first is 1 or 2 and the last makes Luhn's sum right as if
/// 80840 stood in front: <https://www.cms.gov/Regulations-and-Guidance/Administrative-Simplification/NationalProvIdentStand/Downloads/NPIcheckdigit.pdf>.
/// Nine equal digits are a placeholder. Of other numbers of ten digits that begin so, times in seconds for instance, one in
/// ten passes.
pub(crate) fn is_npi(written: Written<'_>) -> bool {
    matches!(written.lengths, [10] | [4, 3, 3])
        && written.uniform
        && matches!(written.digits[0], 1 | 2)
        && written.digits[1..9].iter().any(|digit| *digit != written.digits[0])
        && luhn(written.digits, NPI_PREFIX)
}
