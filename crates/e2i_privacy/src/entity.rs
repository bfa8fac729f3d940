//! Kinds of personal data, by the names that Microsoft Presidio gives them.

use std::fmt;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// An address with `@` and a domain.
    EmailAddress,
    /// A telephone number, written as one.
    PhoneNumber,
    /// The number of a payment card.
    CreditCard,
    /// An International Bank Account Number.
    IbanCode,
    /// A social security number of the United States.
    UsSsn,
    /// A National Provider Identifier of the United States: a person or an organisation in health care.
    UsNpi,
    /// A feature that the policy names, whatever it holds.
    Redacted,
}

impl Entity {
    /// The name in logs and messages. All but `REDACTED` are Presidio's:
    /// <https://microsoft.github.io/presidio/supported_entities/>.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EmailAddress => "EMAIL_ADDRESS",
            Self::PhoneNumber => "PHONE_NUMBER",
            Self::CreditCard => "CREDIT_CARD",
            Self::IbanCode => "IBAN_CODE",
            Self::UsSsn => "US_SSN",
            Self::UsNpi => "US_NPI",
            Self::Redacted => "REDACTED",
        }
    }

    /// What stands in its place: the name in angle brackets, as Presidio's anonymizer writes it.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::EmailAddress => "<EMAIL_ADDRESS>",
            Self::PhoneNumber => "<PHONE_NUMBER>",
            Self::CreditCard => "<CREDIT_CARD>",
            Self::IbanCode => "<IBAN_CODE>",
            Self::UsSsn => "<US_SSN>",
            Self::UsNpi => "<US_NPI>",
            Self::Redacted => "<REDACTED>",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
