/** Strokes of 24 × 24, drawn in the colour of the text. */
const PATHS = {
  now: "M12 7v5l3 2M12 3a9 9 0 1 0 .01 0",
  copying: "M5 6h4l6 12h4M5 18h4l2-4M13 10l2-4h4M16 3l3 3-3 3M16 15l3 3-3 3",
  accounts: "M4 20c0-4 3.5-6 8-6s8 2 8 6M12 4a3.5 3.5 0 1 0 .01 0",
  endpoints: "M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01",
  log: "M6 4h12M6 9h12M6 14h8M6 19h5",
  settings:
    "M12 9a3 3 0 1 0 .01 0M12 2.8v2.4M12 18.8v2.4M2.8 12h2.4M18.8 12h2.4M5.5 5.5l1.7 1.7M16.8 16.8l1.7 1.7M5.5 18.5l1.7-1.7M16.8 7.2l1.7-1.7",
  stop: "M8 3h8l5 5v8l-5 5H8l-5-5V8z",
  play: "M7 4l13 8-13 8z",
  search: "M10.5 4a6.5 6.5 0 1 0 .01 0M15.5 15.5 21 21",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5l4.5 4.5L19 7",
  warn: "M12 3.5 22 20H2zM12 10v4.5M12 17.3v.2",
  down: "M6 9.5l6 6 6-6",
  up: "M6 14.5l6-6 6 6",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  columns: "M4 5h16v14H4zM9.5 5v14M14.5 5v14",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  terminal: "M4 5h16v14H4zM7.5 9.5l3 2.5-3 2.5M12.5 15h4",
  user: "M5 20c0-4 3-6 7-6s7 2 7 6M12 4a3.5 3.5 0 1 0 .01 0",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  graph:
    "M6 8a2.5 2.5 0 1 0-.01 0M18 6.5a2 2 0 1 0-.01 0M18 20a2 2 0 1 0-.01 0M8.3 6l7.6-1M8 7.5 16.5 16",
  list: "M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01",
  history: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4M12 8v4.5l3 1.5",
  bolt: "M13 3 5 13.5h6L10.5 21 19 10h-6z",
  off: "M12 4v8M7 7a7 7 0 1 0 10 0",
  wait: "M7 4h10M7 20h10M8 4c0 5 8 5 8 8s-8 3-8 8",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  copy: "M9 9h10v11H9zM5 15V4h10",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  bell: "M6 17V11a6 6 0 0 1 12 0v6M4 17h16M10.5 20.5h3",
  keyboard: "M3 7h18v10H3zM7 13.5h10M6.5 10h.01M10 10h.01M14 10h.01M17.5 10h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
