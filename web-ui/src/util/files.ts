/** Rows as CSV after RFC 4180. What a spreadsheet would take for a formula is told as text. */
export function csv(header: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [header, ...rows]
    .map((row) => row.map(cell).join(","))
    .join("\r\n")
    .concat("\r\n");
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  let text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (/^[=+@\t\r]/.test(text) || /^-(?![\d.]+$)/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function download(name: string, type: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** How to ask the same from a shell. The key stays out of it. */
export const curl = (path: string) =>
  `curl -H "Authorization: Bearer $TIDEHELM_TOKEN" '${window.location.origin}${path.replaceAll("'", "'\\''")}'`;
