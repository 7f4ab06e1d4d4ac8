"""Dictionary and diagrams of a catalogue made by hand."""

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
VIEW = Relation("analyst", "seen", "view", "What is seen.", RADIOGRAPH.columns, ())


def test_every_column_has_its_meaning_unit_and_key():
    text = dictionary({"registry": "The registry.", "analyst": "Views."}, [RADIOGRAPH, READING, VIEW])
    assert "| `erosion` | double precision | yes |  | percent | Eroded share, percent. (default 0) |" in text
    assert "| `uid` | text | no | PK, FK |  | The radiograph. |" in text
    assert "- `FOREIGN KEY (uid) REFERENCES registry.radiograph(uid)`" in text
    assert "## Schema `analyst`\n\nViews." in text


def test_text_of_a_comment_ends_no_cell_and_is_no_markup():
    assert r"| UID a\|b, \<18>, 2 \* 3. |" in dictionary({"registry": "", "analyst": ""}, [RADIOGRAPH])


def test_links_lead_to_the_headings_as_github_names_them():
    assert anchor(VIEW) == "view-analystseen"
    assert "[seen](#view-analystseen)" in dictionary({"analyst": ""}, [VIEW])


def test_a_line_of_a_diagram_says_how_many_of_each():
    drawn = diagrams([RADIOGRAPH, READING, VIEW])
    # A key that is also the child's own key belongs to one row at most; a column that may be null, to one or none.
    assert '"registry.radiograph" ||--o| "registry.reading" : "uid"' in drawn
    assert '"registry.radiograph" |o--o{ "registry.reading" : "second"' in drawn
    assert "text uid PK, FK" in drawn
    assert "erosion" not in drawn
    assert "analyst" not in drawn
