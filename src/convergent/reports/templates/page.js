"use strict";
// Sorts tables by a click on the head of a column, and copies code. The page is whole without it.

const collator = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  const x = parseFloat(a), y = parseFloat(b);
  return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
}

function isMissing(text) {
  return text === "" || text === "–";
}

function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0];
  const column = [...head.parentElement.children].indexOf(head);
  const isText = head.classList.contains("words");
  // numbers from the highest first, names from the first letter
  const ascending = head.ariaSort === "none" ? isText : head.ariaSort !== "ascending";
  const rows = [...body.rows].map((row) => ({ row, text: row.cells[column].textContent.trim() }));
  rows.sort((a, b) => {
    if (isMissing(a.text) || isMissing(b.text)) return isMissing(a.text) - isMissing(b.text);
    const order = isText ? collator.compare(a.text, b.text) : compare(a.text, b.text);
    return ascending ? order : -order;
  });
  for (const other of table.querySelectorAll("th[aria-sort]")) other.ariaSort = "none";
  head.ariaSort = ascending ? "ascending" : "descending";
  body.append(...rows.map(({ row }) => row));
  say(`sorted by ${head.textContent.trim()}, ${head.ariaSort}`);
}

function say(text) {
  document.getElementById("said").textContent = text;
}

async function copy(button) {
  const content = button.parentElement.querySelector(".content");
  try {
    await navigator.clipboard.writeText(content.innerText.trim());
    say("copied");
    button.textContent = "Copied";
  } catch {
    // the browser does not allow it: what is selected can be copied by hand
    getSelection().selectAllChildren(content);
    say("selected");
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => copy(button));
}
// what is folded away is printed too
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
