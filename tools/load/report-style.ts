// The style of the report: light and dark, from a phone's width on.

/** CSS of the page. The series' colours differ in lightness too, for those who do not tell hues apart. */
export const reportStyle = `
:root { --ground: #fbfbfa; --card: #fff; --text: #1d2126; --soft: #5b636d; --line: #e1e4e8; --good: #1a7f4b; --bad: #b3261e; --note: #8a5a00;
  --s1: #1f5fc4; --s2: #e08a1e; --s3: #2b9a78; --s4: #8b4fc0; --s5: #9aa1aa; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15181c; --card: #1d2126; --text: #e8eaed; --soft: #a3abb5; --line: #333a42; --good: #5fd398; --bad: #ff8f85; --note: #f0c060;
    --s1: #6ea8ff; --s2: #ffb55c; --s3: #55cfa8; --s4: #c597f5; --s5: #7d858f; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 1.1rem; margin: 32px 0 8px; }
header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.verdict { margin: 16px 0 0; padding: 10px 14px; border-left: 4px solid; background: var(--card); list-style: none; overflow-wrap: anywhere; }
.good { border-color: var(--good); } .bad { border-color: var(--bad); } .note { border-color: var(--note); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(138px, 1fr)); gap: 10px; margin: 16px 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles span { display: inline-block; line-height: 1.3; font-size: .8rem; font-weight: 400; color: var(--soft); white-space: nowrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 12px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 10px 6px; display: flex; flex-direction: column; }
figcaption { font-weight: 600; padding: 0 4px; } figcaption span { font-weight: 400; color: var(--soft); font-size: .85rem; }
figure svg { width: 100%; height: auto; display: block; margin-top: auto; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 4px 6px; padding: 0; font-size: .85rem; color: var(--soft); }
.key { display: inline-block; width: 12px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
.grid { stroke: var(--line); stroke-width: 1; } .tick { fill: var(--soft); font-size: 10.5px; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .area { fill-opacity: .85; stroke: none; }
.limit { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 4 4; } .key.limit { background: var(--bad); }
.line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); } .line.s3 { stroke: var(--s3); } .line.s4 { stroke: var(--s4); } .line.s5 { stroke: var(--s5); }
.area.s1, .dot.s1 { fill: var(--s1); } .area.s2, .dot.s2 { fill: var(--s2); } .area.s3, .dot.s3 { fill: var(--s3); } .area.s4, .dot.s4 { fill: var(--s4); } .area.s5, .dot.s5 { fill: var(--s5); }
.key.s1 { background: var(--s1); } .key.s2 { background: var(--s2); } .key.s3 { background: var(--s3); } .key.s4 { background: var(--s4); } .key.s5 { background: var(--s5); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: 5px 12px; border-bottom: 1px solid var(--line); font-weight: 400; vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); } tbody th { color: var(--soft); }
td.outcome { min-width: 230px; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
`;
