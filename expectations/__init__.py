"""What must hold of the data, one module for each suite, written for the people who answer for the data.

Every expectation states a rule as a sentence (`description`), how bad a breach is (`severity`) and, in `meta`, what is
told about a row that breaks it: `reason` (what is wrong) and `remedy` (what a data steward can do). `critical` keeps
the row out of the warehouse; `warning` and `info` let it in and list it.

A rule about single rows (`scope` row) quarantines rows. A rule about the table (`scope` table) stops the night.
Columns that no landed file has, such as `radiograph_known`, are facts that `scoring.validation.facts` adds beforehand. A null
is never judged by a rule other than "is present".
"""

import warnings

# Great Expectations imports two modules that Python renamed in 3.11. It does so once, when it is imported after this.
warnings.filterwarnings("ignore", message=r"module 'sre_(constants|parse)' is deprecated", category=DeprecationWarning)
