// Owns: how the report looks, in light and in dark.

/// The style sheet of the report.
enum ReportStyle {
  static let css = """
    :root {
      color-scheme: light dark;
      --page: #f5f6f8; --card: #ffffff; --edge: #e3e6eb; --ink: #1a1f29; --soft: #626c7c;
      --grid: #eceef2; --one: #2563eb; --two: #e0700b; --three: #a3abb8; --dim: #7f8aa0;
      --fill: #2563eb1f; --good: #12805c; --good-page: #e3f5ec; --bad: #c0281f;
      --bad-page: #fdeae8; --warn: #8a5a00; --warn-page: #fdf2d8; --chaos: #c0281f;
      --e1: #d1463b; --e2: #e0980b; --e3: #8b5cf6; --e4: #0f9aa8; --e5: #8d96a5;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --page: #0e1116; --card: #171b22; --edge: #262c37; --ink: #e8ebf1; --soft: #98a2b3;
        --grid: #232934; --one: #6ea0ff; --two: #f59e4b; --three: #5d6779; --dim: #7d899e;
        --fill: #6ea0ff24; --good: #5fd3a4; --good-page: #12291f; --bad: #ff8b80;
        --bad-page: #341816; --warn: #f0c05a; --warn-page: #2e2410; --chaos: #ff8b80;
        --e1: #f0695e; --e2: #f0b64a; --e3: #a78bfa; --e4: #3cc3d1; --e5: #7d899e;
      }
    }
    * { box-sizing: border-box; }
    body {
      margin: 0; background: var(--page); color: var(--ink);
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
        sans-serif;
      font-variant-numeric: tabular-nums;
    }
    main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 56px; }
    header { margin-bottom: 26px; }
    .brand {
      color: var(--soft); font-size: 13px; font-weight: 600; letter-spacing: .04em;
      margin: 0 0 6px;
    }
    h1 { font-size: 27px; line-height: 1.25; letter-spacing: -.015em; margin: 0 0 10px; }
    h2 { font-size: 16px; margin: 0; letter-spacing: -.005em; }
    .meta { color: var(--soft); margin: 0; }
    .meta b { color: var(--ink); font-weight: 600; }
    .verdict {
      display: flex; gap: 12px; align-items: baseline; border-radius: 12px; padding: 13px 18px;
      margin: 20px 0 0; font-weight: 600; background: var(--good-page); color: var(--good);
    }
    .verdict.broken { background: var(--bad-page); color: var(--bad); }
    .verdict.incomplete, .verdict.failed { background: var(--warn-page); color: var(--warn); }
    .verdict span { font-weight: 400; color: var(--ink); }
    .tiles {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
      margin: 0 0 14px;
    }
    .tile, .card {
      background: var(--card); border: 1px solid var(--edge); border-radius: 12px;
    }
    .tile { padding: 14px 16px 12px; }
    .tile .name { color: var(--soft); font-size: 13px; }
    .tile .value {
      font-size: 25px; font-weight: 650; letter-spacing: -.02em; line-height: 1.25;
    }
    .tile .value small { font-size: 14px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
    .tile .more { color: var(--soft); font-size: 12.5px; }
    .card { padding: 18px 20px 14px; margin: 0 0 14px; }
    .card p { color: var(--soft); font-size: 13px; margin: 2px 0 10px; max-width: 76ch; }
    .top { display: flex; justify-content: space-between; gap: 16px; flex-wrap: wrap; }
    .keys { display: flex; gap: 14px; flex-wrap: wrap; color: var(--soft); font-size: 13px; }
    .keys i {
      display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px;
    }
    .keys .one { background: var(--one); } .keys .two { background: var(--two); }
    .keys .three { background: var(--three); } .keys .dim { background: var(--dim); }
    .keys .e1 { background: var(--e1); } .keys .e2 { background: var(--e2); }
    .keys .e3 { background: var(--e3); } .keys .e4 { background: var(--e4); }
    .keys .e5 { background: var(--e5); }
    svg { display: block; width: 100%; height: auto; }
    svg text { font-family: inherit; fill: var(--soft); font-size: 12px; }
    svg .verb, svg .figure { fill: var(--ink); font-size: 13px; }
    svg .note {
      fill: var(--ink); font-size: 12px; paint-order: stroke; stroke: var(--card);
      stroke-width: 4px; stroke-linejoin: round;
    }
    .grid { stroke: var(--grid); stroke-width: 1; }
    .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
    .curve.one { stroke: var(--one); } .curve.two { stroke: var(--two); }
    .curve.three { stroke: var(--three); stroke-width: 1.3; }
    .area.one { fill: var(--fill); }
    .thin { stroke: var(--three); stroke-width: 1.3; }
    .thick { stroke: var(--dim); stroke-width: 4; stroke-opacity: .35; }
    .point.one { fill: var(--one); } .point.two { fill: var(--two); }
    .point.dim { fill: var(--card); stroke: var(--dim); stroke-width: 1.5; }
    .point.three { fill: var(--card); stroke: var(--three); stroke-width: 1.8; }
    .dot { fill: var(--one); fill-opacity: .5; }
    .mark { stroke: var(--two); stroke-width: 1.2; stroke-dasharray: 2 4; }
    .chaos { stroke: var(--chaos); stroke-width: 1; stroke-dasharray: 4 4; stroke-opacity: .7; }
    .bar.e1 { fill: var(--e1); } .bar.e2 { fill: var(--e2); } .bar.e3 { fill: var(--e3); }
    .bar.e4 { fill: var(--e4); } .bar.e5 { fill: var(--e5); }
    .hit { fill: var(--ink); fill-opacity: 0; } .hit:hover { fill-opacity: .055; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-size: 14px; }
    th {
      text-align: right; font-weight: 500; color: var(--soft); font-size: 13px;
      padding: 6px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap;
    }
    td {
      text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--grid);
      white-space: nowrap;
    }
    th:first-child, td:first-child { text-align: left; padding-left: 0; }
    td:first-child { font-weight: 600; }
    tr:last-child td { border-bottom: 0; }
    .pairs {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 0 32px;
      margin: 8px 0 4px;
    }
    .pairs div {
      display: flex; justify-content: space-between; gap: 12px; padding: 5px 0;
      border-bottom: 1px solid var(--grid);
    }
    .pairs span { color: var(--soft); }
    .pairs b { font-weight: 600; text-align: right; overflow-wrap: anywhere; }
    pre {
      font: 12.5px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      padding: 12px 14px; margin: 0; width: max-content; min-width: 100%;
    }
    /* Reversed, so that it opens at its end without a script. */
    .history {
      display: flex; flex-direction: column-reverse; align-items: flex-start;
      overflow: auto; max-height: 460px; margin: 8px 0 6px;
      background: var(--page); border: 1px solid var(--edge); border-radius: 8px;
    }
    mark { background: var(--bad-page); color: var(--bad); }
    footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
    @media (max-width: 720px) {
      main { padding: 26px 12px 40px; }
      .card { padding: 16px 14px 12px; }
      svg { min-width: 680px; }
    }
    @media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
    """
}
