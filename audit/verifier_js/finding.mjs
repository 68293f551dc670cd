// What the steps tell of: something that does not hold, and a file of the auditor's own that is not what it should be.

/** Something does not hold. `verdict` is the one that it belongs to. Ends the verification. */
export class Finding extends Error {
  constructor(verdict, what) {
    super(what);
    this.verdict = verdict;
  }
}

/** A file of the auditor's own cannot be used: `name` is `trust`, `pinned`, `after` or `witnesses`. */
export class InputUnreadable extends Error {
  constructor(name, why) {
    super(why);
    this.name = name;
  }
}

/** The bundle's file cannot be read at all. */
export class SourceUnreadable extends Error {}

export const VERDICTS = ["integrity", "authenticity", "order", "freshness", "completeness", "disclosure"];
const FINDINGS_MOST = 100;

/** What was found. A verdict that was not checked is not claimed. */
export class Report {
  findings = [];
  checked = new Set();
  notes = [];
  facts = {};

  get good() {
    return this.findings.length === 0;
  }

  find(verdict, what) {
    if (this.findings.length < FINDINGS_MOST) this.findings.push({ verdict, what });
  }

  verdict(name) {
    if (this.findings.some((finding) => finding.verdict === name)) return "finding";
    return this.checked.has(name) ? "good" : "not claimed";
  }

  asJson() {
    const verdicts = Object.fromEntries(VERDICTS.map((name) => [name, this.verdict(name)]));
    return { good: this.good, verdicts, findings: this.findings, notes: this.notes, ...this.facts };
  }
}
