//! What is found, kind by kind, and what is not. Numbers are the examples of the standards and of test environments.

use e2i_privacy::{Entity, find, redact};

/// The finds in a text as `(text, kind)`.
fn found(text: &str) -> Vec<(&str, Entity)> {
    find(text).map(|(range, entity)| (&text[range], entity)).collect()
}

/// Each text is found whole, alone and in company.
fn are(entity: Entity, texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [(*text, entity)], "{text:?}");
        for (before, after) in
            [("see ", "."), ("(", ")"), ("id:", ", then"), ("\u{200f}שלום ", "\u{200e}"), ("号", "号"), ("\"", "\"")]
        {
            let sentence = format!("{before}{text}{after}");
            // Letters of any script belong to an address.
            if entity != Entity::EmailAddress || before != "号" {
                assert_eq!(found(&sentence), [(*text, entity)], "{sentence:?}");
            }
        }
    }
}

/// Nothing is found in these.
fn are_nothing(texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [], "{text:?}");
    }
}

#[test]
fn addresses_of_mail() {
    are(
        Entity::EmailAddress,
        &[
            "jane.doe@example.com",
            "j+tag@sub.example.co.uk",
            "a_b-c%d@ex-ample.org",
            "o'hara@example.ie",
            "x@example.museum",
            "1234567893@example.com",
            "user@xn--80ak6aa92e.xn--p1ai",
            "josé@exämple.de",
            "jose\u{301}@example.com",
            "почта@пример.рф",
            "用户@例子.公司",
        ],
    );
    are_nothing(&[
        "jane.doe@localhost",
        "@handle",
        "a @ b.com",
        "package@1.2.3",
        "user@example.c",
        "@@..@@",
        "a@-b.com",
        "a@b..com",
        "me@",
    ]);
    assert_eq!(found("jane@example.com.").first().unwrap().0, "jane@example.com");
    assert_eq!(found("<jane@example.com>, bob@example.org").len(), 2);
    assert_eq!(found("..jane@example.com.123").first().unwrap().0, "jane@example.com");
    assert_eq!(redact("jane@example.com-212-555-1234"), "<EMAIL_ADDRESS>-<PHONE_NUMBER>");
    assert_eq!(redact("用户@例子.公司4111111111111111"), "<EMAIL_ADDRESS><CREDIT_CARD>");
    assert_eq!(found("a@b@example.com"), [("b@example.com", Entity::EmailAddress)]);
    assert_eq!(found("jane@example.com-"), [("jane@example.com", Entity::EmailAddress)]);
}

#[test]
fn telephone_numbers() {
    are(
        Entity::PhoneNumber,
        &[
            "+12125551234",
            "+1 212 555 1234",
            "+1 (212) 555-1234",
            "+1-212-555-1234",
            "+1.2125551234",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+49 30 901820",
            "+33 1 23 45 67 89",
            "+972-50-123-4567",
            "+8613800138000",
            "+49\u{a0}30\u{a0}901820",
            "+1 212\u{2011}555\u{2011}1234",
            "212-555-1234",
            "212.555.1234",
            "212 555 1234",
            "1-212-555-1234",
            "(212) 555-1234",
            "(212)555-1234",
            "(212) 5551234",
            "1 (212) 555-1234",
            "1(212)555-1234",
            "212-555-1234x567",
            "(212) 555-1234 ext. 5",
            "+1 212 555 1234 x99",
        ],
    );
    are_nothing(&[
        "2125551234",
        "5551234",
        "555-1234",
        "112-555-1234",
        "211-555-1234",
        "212-155-1234",
        "212-911-1234",
        "2-212-555-12345",
        "+1234567",
        "+12345678",
        "+0123456789",
        "+1 112 555 1234",
        "+3.14159265",
        "-3.14159265",
        "1e+12345678",
        "+1234567890123456",
        "a212-555-1234",
        "212-555-1234a",
        "212-555-12345",
        "(212) 555",
        "(21) 2555-1234",
        "f(212)",
    ]);
    assert_eq!(
        redact("+12125551234,078-05-1120,4111111111111111,1234567893,42"),
        "<PHONE_NUMBER>,<US_SSN>,<CREDIT_CARD>,<US_NPI>,42"
    );
    // What follows may be another number; what is in front may be a word.
    assert_eq!(found("+49 30 901820 and 5").first().unwrap().0, "+49 30 901820");
    assert_eq!(found("+49 30 901820 5a"), [("+49 30 901820", Entity::PhoneNumber)]);
    assert_eq!(found("call(212) 555-1234"), [("(212) 555-1234", Entity::PhoneNumber)]);
}

#[test]
fn numbers_of_cards() {
    are(
        Entity::CreditCard,
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111\u{2011}1111\u{2011}1111\u{2011}1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "3056 930902 5904",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
            "6205500000000000004",
            "6759649826438453",
        ],
    );
    are_nothing(&[
        "4111111111111112",
        "4111 1111 1111 1112",
        "1111111111111117",
        "0000000000000000",
        "9999999999999995",
        "41111111111111",
        "4222222222222",
        "41 111111 11111111",
        "x4111111111111111",
        "4111111111111111x",
        "_4111111111111111",
        "0.4111111111111111",
        "４１１１１１１１１１１１１１１１",
        "４4111111111111111",
        "41111111111111111111111111111111",
    ]);
    assert_eq!(found("4111111111111111.0").first().unwrap().0, "4111111111111111");
    // The code behind a card's number does not hide it, nor does a number in front.
    assert_eq!(found("4111 1111 1111 1111 123").first().unwrap().0, "4111 1111 1111 1111");
    assert_eq!(found("7 4111 1111 1111 1111"), [("4111 1111 1111 1111", Entity::CreditCard)]);
    assert_eq!(found("17-4111111111111111"), [("4111111111111111", Entity::CreditCard)]);
}

#[test]
fn international_bank_account_numbers() {
    are(
        Entity::IbanCode,
        &[
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "de89 3704 0044 0532 0130 00",
            "DE89-3704-0044-0532-0130-00",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "BE68539007547034",
            "CH9300762011623852957",
            "LC55HEMM000100010012001200023015",
            "XK051212012345678906",
            "IL150120690000003111111",
        ],
    );
    are_nothing(&[
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "XX89370400440532013000",
        "DE89 370 400 440 532 013 000",
        "ADE89370400440532013000",
        "DE89370400440532013000A",
        "DE",
        "DE89",
        "GB29 NWBK of the bank",
    ]);
    assert_eq!(found("DE89 3704 0044 0532 0130 00 2 days"), [("DE89 3704 0044 0532 0130 00", Entity::IbanCode)]);
}

#[test]
fn social_security_numbers() {
    are(Entity::UsSsn, &["078-05-1120", "219 09 9999", "899.99.9999", "001-01-0001", "665-12-3456"]);
    are_nothing(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "999-12-3456",
        "123-00-4567",
        "123-45-0000",
        "078051120",
        "078-051120",
        "07805-1120",
        "078-05 1120",
        "078.05 1120",
        "1078-05-1120",
        "078-05-11201",
        "A078-05-1120",
        "078-05-1120B",
        "3.078-05-1120",
    ]);
}

#[test]
fn identifiers_of_providers() {
    are(Entity::UsNpi, &["1234567893", "1993999998", "1558598797", "1234-567-893", "1234 567 893"]);
    are_nothing(&[
        "1234567890",
        "1234567892",
        "3234567893",
        "0123456789",
        "12345678930",
        "1111111112",
        "1234567893.5",
        "0.1234567893",
        "n1234567893",
        "1234-567 893",
    ]);
}

#[test]
fn ordinary_texts_stay_as_they_are() {
    let texts = [
        "",
        " ",
        "12345",
        "2026-11-21",
        "2026-11-21T14:43:21.123456Z",
        "2026-11-21 14:43:21+00:00",
        "20261121144321",
        "21.11.2026",
        "11/21/2026",
        "192.168.0.1",
        "192.168.100.200:8080",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "00:1B:44:11:3A:B7",
        "550e8400-e29b-41d4-a716-446655440000",
        "00000000-0000-0000-0000-000000000000",
        "12345678-1234-1234-1234-123456789012",
        "E11.9",
        "ICD-10: J45.909, Z79.4",
        "3.141592653589793",
        "-1.7976931348623157e+308",
        "1.0.19041.1234",
        "v2.11.0-rc.15",
        "1,234,567.89",
        "1 234 567,89",
        "100 200 300 400",
        "978-0-306-40615-7",
        "4006381333931",
        "NDC 0777-3105-02",
        "SKU-10023-A",
        "10001-1234",
        "SW1A 1AA",
        "room 212, floor 5",
        "1700000000",
        "1700000000000",
        "1700000000000000",
        "#hashtag @handle",
        "f(x) = 2(x+1)",
        "(123) (456)",
        "50% off 3+1",
        "premium",
        "Zürich – Genève",
        "日本語テキスト 2026年11月21日",
        "\u{202b}מספר 12345\u{202c}",
        "👩‍👩‍👧 1️⃣2️⃣3️⃣",
    ];
    are_nothing(&texts);
    assert!(texts.iter().all(|text| matches!(redact(text), std::borrow::Cow::Borrowed(_))));
}

#[test]
fn several_in_one_text() {
    let text = "Jane (jane@example.com, +1 212 555 1234) paid with 4111 1111 1111 1111 or DE89370400440532013000; \
                SSN 078-05-1120, NPI 1234567893. 2125551234@example.com";
    assert_eq!(
        redact(text),
        "Jane (<EMAIL_ADDRESS>, <PHONE_NUMBER>) paid with <CREDIT_CARD> or <IBAN_CODE>; SSN <US_SSN>, NPI <US_NPI>. \
         <EMAIL_ADDRESS>"
    );
}

#[test]
fn a_long_text_takes_one_pass() {
    // With work in proportion to the square these would take many minutes; nothing is timed.
    for piece in
        ["a", "1", "@", "a@", "1 ", "+1", "(1", "DE89 ", "a.", "4111 ", ".", "+1 2", "a@b.", "é", "1-", "@a.b1"]
    {
        let text = piece.repeat(1 << 16);
        assert!(find(&text).all(|(range, _)| !range.is_empty()), "{piece:?}");
    }
}
