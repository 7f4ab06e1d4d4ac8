from scoring.report.dictionary import anchor, diagrams, dictionary
from scoring.warehouse.catalogue import Column, Constraint, Relation

RADIOGRAPH = Relation(
    "registry",
    "radiograph",
    "table",
    "Radiographs.",
    (Column("uid", "text", nullable=False, comment="UID a|b, <18>, 2 * 3.", filled=""),),
    (Constraint("primary key", ("uid",), "PRIMARY KEY (uid)", ""),),
)
READING = Relation(
    "registry",
    "reading",
    "table",
    "Readings.",
    (
        Column("uid", "text", nullable=False, comment="The radiograph.", filled=""),
        Column("second", "text", nullable=True, comment="Another radiograph.", filled=""),
        Column("erosion", "double precision", nullable=True, comment="Eroded share, percent.", filled="default 0"),
    ),
    (
        Constraint("primary key", ("uid",), "PRIMARY KEY (uid)", ""),
        Constraint(
            "foreign key", ("uid",), "FOREIGN KEY (uid) REFERENCES registry.radiograph(uid)", "registry.radiograph"
        ),
        Constraint(
            "foreign key",
            ("second",),
            "FOREIGN KEY (second) REFERENCES registry.radiograph(uid)",
            "registry.radiograph",
        ),
    ),
)
VIEW = Relation("analyst", "seen", "view", "Visible radiographs.", RADIOGRAPH.columns, ())


def test_dictionary_shows_meaning_unit_and_key_of_every_column():
    text = dictionary({"registry": "The registry.", "analyst": "Views."}, [RADIOGRAPH, READING, VIEW])
    assert "| `erosion` | double precision | yes |  | percent | Eroded share, percent. (default 0) |" in text
    assert "| `uid` | text | no | PK, FK |  | The radiograph. |" in text
    assert "- `FOREIGN KEY (uid) REFERENCES registry.radiograph(uid)`" in text
    assert "## Schema `analyst`\n\nViews." in text


def test_dictionary_escapes_markup_in_comments():
    assert r"| UID a\|b, \<18>, 2 \* 3. |" in dictionary({"registry": "", "analyst": ""}, [RADIOGRAPH])


def test_anchor_is_that_of_github():
    assert anchor(VIEW) == "view-analystseen"
    assert "[seen](#view-analystseen)" in dictionary({"analyst": ""}, [VIEW])


def test_diagrams_show_the_number_of_rows_at_each_end_of_a_reference():
    drawn = diagrams([RADIOGRAPH, READING, VIEW])
    # A foreign key that is unique belongs to at most one row; a nullable one references one row or none.
    assert '"registry.radiograph" ||--o| "registry.reading" : "uid"' in drawn
    assert '"registry.radiograph" |o--o{ "registry.reading" : "second"' in drawn
    assert "text uid PK, FK" in drawn
    assert "erosion" not in drawn
    assert "analyst" not in drawn
