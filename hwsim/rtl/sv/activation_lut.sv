// The activation table: the nearest entry (LINEAR = 0), or the line between two neighbours (LINEAR = 1).
//
// position = round((code - zero_point) * multiplier / 2**shift) + offset, half up, with 12 fraction bits, clamped to the
// table. `last_entry` is the index of the last entry.
//
// Timing: a pipeline of three registers (product, position, entry); code_in of cycle t (valid_in = 1) is the code of
// cycle t + 3. The table is written through its own port while no codes come.
module activation_lut #(
    parameter int IN_BITS = 9,
    parameter int OUT_BITS = 9,
    parameter int ADDRESS_BITS = 8,
    parameter int LINEAR = 0
) (
    input  wire                           clk,
    input  wire                           rst,
    input  wire                           write,
    input  wire        [ADDRESS_BITS-1:0] write_address,
    input  wire signed [    OUT_BITS-1:0] write_data,
    input  wire        [ADDRESS_BITS-1:0] last_entry,
    input  wire signed [     IN_BITS-1:0] zero_point,
    input  wire        [            30:0] multiplier,
    input  wire signed [             7:0] shift,
    input  wire signed [            47:0] offset,
    input  wire                           valid_in,
    input  wire signed [     IN_BITS-1:0] code_in,
    output reg                            valid,
    output reg signed  [    OUT_BITS-1:0] code
);
  localparam int FRACTION_BITS = 12;
  localparam int PRODUCT_BITS = IN_BITS + 1 + 31;
  localparam int LEFT_BITS = 31;  // the longest shift to the left
  localparam int STEP_BITS = (PRODUCT_BITS > 48 ? PRODUCT_BITS : 48) + LEFT_BITS + 2;
  localparam int POSITION_BITS = ADDRESS_BITS + FRACTION_BITS + 1;

  reg signed [OUT_BITS-1:0] entries[0:(1<<ADDRESS_BITS)-1];
  always @(posedge clk) if (write) entries[write_address] <= write_data;

  // first register: the product
  wire signed [IN_BITS:0] centred = {code_in[IN_BITS-1], code_in} - {zero_point[IN_BITS-1], zero_point};
  reg signed [PRODUCT_BITS-1:0] product;
  reg product_valid;
  always @(posedge clk) begin
    product <= {{(PRODUCT_BITS - IN_BITS - 1) {centred[IN_BITS]}}, centred} *
        {{(PRODUCT_BITS - 31) {1'b0}}, multiplier};
    product_valid <= valid_in && !rst;
  end

  // second register: the position in the table; doubled, so that bit 0 is the half
  wire left = shift[7];
  wire [7:0] distance = left ? -shift : shift;
  wire signed [PRODUCT_BITS:0] doubled = {product, 1'b0};
  wire signed [PRODUCT_BITS:0] floor_and_half = left ? doubled : doubled >>> distance;
  wire signed [STEP_BITS-1:0] rounded =
      {{(STEP_BITS - PRODUCT_BITS) {floor_and_half[PRODUCT_BITS]}}, floor_and_half[PRODUCT_BITS:1]} +
      {{(STEP_BITS - 1) {1'b0}}, floor_and_half[0]};
  wire signed [STEP_BITS-1:0] steps = (left ? rounded <<< distance : rounded) + {{(STEP_BITS - 48) {offset[47]}}, offset};
  wire [POSITION_BITS-1:0] end_position = {1'b0, last_entry, {FRACTION_BITS{1'b0}}};
  wire signed [STEP_BITS-1:0] wide_end = {{(STEP_BITS - POSITION_BITS) {1'b0}}, end_position};
  reg [POSITION_BITS-1:0] position;
  reg position_valid;
  always @(posedge clk) begin
    position <= steps[STEP_BITS-1] ? {POSITION_BITS{1'b0}} : steps > wide_end ? end_position : steps[POSITION_BITS-1:0];
    position_valid <= product_valid && !rst;
  end

  // third register: the entry
  always @(posedge clk) valid <= position_valid && !rst;
  generate
    if (LINEAR != 0) begin : line
      localparam int RISE_BITS = OUT_BITS + 1 + FRACTION_BITS + 2;
      wire [ADDRESS_BITS-1:0] here = position[FRACTION_BITS+:ADDRESS_BITS];
      wire at_end = here == last_entry;
      wire [ADDRESS_BITS-1:0] index = here - {{(ADDRESS_BITS - 1) {1'b0}}, at_end};
      wire [FRACTION_BITS:0] fraction = {at_end, position[FRACTION_BITS-1:0]};
      wire signed [OUT_BITS-1:0] from = entries[index];
      wire signed [OUT_BITS-1:0] to = entries[index+{{(ADDRESS_BITS-1) {1'b0}}, 1'b1}];
      wire signed [OUT_BITS:0] difference = {to[OUT_BITS-1], to} - {from[OUT_BITS-1], from};
      wire signed [RISE_BITS-1:0] rise =
          {{(RISE_BITS - OUT_BITS - 1) {difference[OUT_BITS]}}, difference} *
          {{(RISE_BITS - FRACTION_BITS - 1) {1'b0}}, fraction};
      wire signed [RISE_BITS-1:0] nudged = rise + {{(RISE_BITS - FRACTION_BITS) {1'b0}}, 1'b1, {(FRACTION_BITS - 1) {1'b0}}};
      always @(posedge clk) code <= from + nudged[FRACTION_BITS+:OUT_BITS];
      wire unused = &{1'b0, position[POSITION_BITS-1], nudged};
    end else begin : nearest
      wire [POSITION_BITS-1:0] nudged = position + {{(POSITION_BITS - FRACTION_BITS) {1'b0}}, 1'b1, {(FRACTION_BITS - 1) {1'b0}}};
      always @(posedge clk) code <= entries[nudged[FRACTION_BITS+:ADDRESS_BITS]];
      wire unused = &{1'b0, nudged};
    end
  endgenerate
endmodule
