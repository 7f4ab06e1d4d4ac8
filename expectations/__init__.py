"""Rules that the data must satisfy, one table of rules per dataset.

Each rule states its name, its check of a column, its severity, the reason for a rejected row and the remedy for a data
steward. Rules without a severity are critical: a row that breaks one is quarantined. A row that breaks a warning or an
info is kept and listed. A critical rule about the table as a whole stops the batch.

Some columns, such as `radiograph_known`, are not delivered: `scoring.validation.facts` adds them before the check. An
empty cell breaks only `present`.
"""

import warnings

# Great Expectations imports modules that Python 3.11 renamed. The warning appears when it is first imported.
warnings.filterwarnings("ignore", message=r"module 'sre_(constants|parse)' is deprecated", category=DeprecationWarning)
