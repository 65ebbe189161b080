/** A table, which scrolls if it is wider than the page. Rows that are complete are not touched again. */

import type { Token, Tokens } from "marked";

import { inlineFragment, type Surroundings } from "./inline.ts";
import { withClosedMarks } from "./open_marks.ts";
import type { Around, BlockView } from "./view.ts";

interface Row {
  cells: readonly Tokens.TableCell[];
  readonly element: HTMLTableRowElement;
  growing: boolean;
}

export class TableView implements BlockView {
  readonly element = document.createElement("div");
  private readonly head = document.createElement("thead");
  private readonly body = document.createElement("tbody");
  private readonly rows: Row[] = [];
  private version = "";

  constructor() {
    const table = document.createElement("table");
    this.element.className = "md-table";
    this.element.tabIndex = 0;
    table.append(this.head, this.body);
    this.element.append(table);
  }

  update(token: Token, around: Around, growing: boolean): void {
    const { header, rows } = token as Tokens.Table;
    const isKnown = this.version === around.version;
    [header, ...rows].forEach((cells, at) => {
      const isGrowing = growing && at === rows.length;
      if (!this.isShown(this.rows[at], cells, isKnown) || isGrowing) this.show(at, cells, around, isGrowing);
    });
    for (const { element } of this.rows.splice(rows.length + 1)) element.remove();
    this.version = around.version;
  }

  private isShown(row: Row | undefined, cells: readonly Tokens.TableCell[], isKnown: boolean): boolean {
    if (!row || row.growing) return false;
    if (!isKnown && cells.some(({ text }) => text.includes("["))) return false; // it may refer to a definition
    return row.cells === cells || cells.every(({ text }, at) => text === row.cells[at]?.text);
  }

  private show(at: number, cells: readonly Tokens.TableCell[], around: Surroundings, growing: boolean): void {
    const row = this.rows[at] ?? { cells: [], element: document.createElement("tr"), growing };
    this.rows[at] = Object.assign(row, { cells, growing });
    if (!row.element.parentNode) (at ? this.body : this.head).append(row.element);
    const last = cells.findLastIndex(({ text }) => text);
    row.element.replaceChildren(
      ...cells.map(({ text, align }, column) => {
        const cell = document.createElement(at ? "td" : "th");
        if (align) cell.setAttribute("align", align);
        cell.append(inlineFragment(growing && column === last ? withClosedMarks(text) : text, around));
        return cell;
      }),
    );
  }
}
