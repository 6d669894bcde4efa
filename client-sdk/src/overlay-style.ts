// The look of the overlay. Every colour and measure is a custom property that the page may set.

/** Style sheet of the overlay's shadow root. */
export const overlayCss = `
:host {
  --_surface: var(--undertone-surface, #ffffff);
  --_ink: var(--undertone-ink, #1c2227);
  --_muted: var(--undertone-muted, #56606a);
  --_track: var(--undertone-track, #e4e7e8);
  --_line: var(--undertone-line, #00000014);
  --_live: var(--undertone-live, #0e7a5f);
  display: block;
  min-inline-size: 0;
  container-type: inline-size;
  font: 500 13px/1.3 var(--undertone-font, system-ui, sans-serif);
  color: var(--_ink);
}
:host([hidden]) { display: none; }
:host([theme='dark']) {
  --_surface: var(--undertone-surface, #1a1f23);
  --_ink: var(--undertone-ink, #eceeef);
  --_muted: var(--undertone-muted, #a9b2ba);
  --_track: var(--undertone-track, #343b41);
  --_line: var(--undertone-line, #ffffff1c);
  --_live: var(--undertone-live, #4fd0a9);
}
@media (prefers-color-scheme: dark) {
  :host(:not([theme='light'])) {
    --_surface: var(--undertone-surface, #1a1f23);
    --_ink: var(--undertone-ink, #eceeef);
    --_muted: var(--undertone-muted, #a9b2ba);
    --_track: var(--undertone-track, #343b41);
    --_line: var(--undertone-line, #ffffff1c);
    --_live: var(--undertone-live, #4fd0a9);
  }
}
.panel { --_color: var(--_muted); }
.tinted { --_color: var(--_on-light); }
:host([theme='dark']) .tinted { --_color: var(--_on-dark); }
@media (prefers-color-scheme: dark) { :host(:not([theme='light'])) .tinted { --_color: var(--_on-dark); } }
.panel {
  display: grid;
  gap: 6px;
  padding: 8px 10px;
  border-radius: var(--undertone-radius, 10px);
  background: var(--_surface);
  box-shadow: inset 0 0 0 1px var(--_line);
}
.head { display: flex; align-items: center; gap: 7px; min-inline-size: 0; }
.sign { flex: none; inline-size: 20px; block-size: 20px; color: var(--_color); }
.sign path { fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.words { flex: 1; min-inline-size: 0; display: flex; align-items: baseline; gap: 6px; overflow: hidden; white-space: nowrap; }
.title { font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
.detail { color: var(--_muted); font-size: 12px; overflow: hidden; text-overflow: ellipsis; flex: 0 1 auto; min-inline-size: 0; }
.percent { flex: none; font-variant-numeric: tabular-nums; font-weight: 600; }
.dot { flex: none; inline-size: 8px; block-size: 8px; border-radius: 50%; background: var(--_live); }
.panel[data-kind='not-measured'] .dot, .panel[data-kind='connecting'] .dot { background: none; box-shadow: inset 0 0 0 1.5px var(--_muted); }
.panel:is([data-kind='not-measured'], [data-kind='connecting'], [data-kind='silence']) .title { color: var(--_muted); }
.bar { block-size: 4px; border-radius: 2px; background: var(--_track); overflow: hidden; }
.bar i { display: block; block-size: 100%; border-radius: inherit; background: var(--_color); transform-origin: 0 50%; inline-size: 100%; transition: transform 0.25s ease-out; }
:host(:dir(rtl)) .bar i { transform-origin: 100% 50%; }
.panel[data-uncertain] .bar i { background: repeating-linear-gradient(115deg, var(--_color) 0 4px, transparent 4px 7px); }
.classes { display: none; grid-template-columns: repeat(auto-fit, minmax(30px, 1fr)); gap: 4px 6px; margin: 0; padding: 0; list-style: none; }
.classes li { display: grid; justify-items: center; gap: 3px; min-inline-size: 0; font-size: 12px; color: var(--_muted); }
.classes li[data-lead] { color: var(--_ink); font-weight: 600; }
.classes .sign { inline-size: 15px; block-size: 15px; color: inherit; }
.classes li[data-lead] .sign { color: var(--_color); }
.classes b { inline-size: 100%; block-size: 18px; display: flex; align-items: end; border-radius: 3px; background: var(--_track); overflow: hidden; }
.classes i { display: block; inline-size: 100%; block-size: 100%; background: var(--_color); transform-origin: 50% 100%; transition: transform 0.25s ease-out; }
.classes span { display: none; max-inline-size: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.panel:not([data-kind='emotion']) :is(.bar, .classes) i { transition: none; }
.bar[hidden], .classes[hidden], .percent[hidden], .detail[hidden] { display: none; }
.status { position: absolute; inline-size: 1px; block-size: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.panel[data-kind='listening'] .sign { animation: breathe 2.4s ease-in-out infinite; }
.panel[data-measured] .dot { animation: beat 2s ease-in-out infinite; }
@keyframes beat { 50% { opacity: 0.35; } }
@keyframes breathe { 50% { opacity: 0.5; } }
@container (max-width: 179px) {
  .panel { padding: 5px 7px; gap: 4px; font-size: 12px; }
  .detail { display: none; }
  .sign { inline-size: 17px; block-size: 17px; }
  .head { gap: 5px; }
}
@container (min-width: 260px) { .classes:not([hidden]) { display: grid; } }
@container (min-width: 420px) { .panel { padding: 12px 14px; gap: 9px; font-size: 15px; } .classes b { block-size: 28px; } .classes span { display: block; } .classes li { grid-template-columns: 1fr auto auto 1fr; align-items: center; gap: 4px 5px; } .classes b { grid-column: 1 / -1; } .classes .sign { grid-column: 2; } .bar { block-size: 6px; } .detail { font-size: 13px; } }
@media (prefers-reduced-motion: reduce) {
  .panel .sign, .panel .dot { animation: none !important; }
  .bar i, .classes i { transition: none; }
}
@media (forced-colors: active) { .bar i, .classes i, .dot { forced-color-adjust: none; } .panel { border: 1px solid; } }
`;
