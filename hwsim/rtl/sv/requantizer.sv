// The requantization unit: clamp(round((accumulator + bias) * multiplier / 2**shift) + zero_point, low, high).
//
// ROUNDING: 0 half up, 1 half away from zero, 2 half to even, 3 floor: once, on the exact product.
//           4 gemmlowp: the doubling high multiply of 32-bit words, half up and saturated, then a division by 2**shift,
//             half away from zero; here `shift` leaves out the 31 bits of the multiplier, accumulator + bias fits 32 bits.
// A negative shift multiplies. The power-of-two scheme is MULTIPLIER_BITS = 1 with multiplier = 1.
//
// Timing: a pipeline of three registers; the inputs of cycle t (valid_in = 1) are the code of cycle t + 3.
module requantizer #(
    parameter int ACC_BITS = 24,
    parameter int BIAS_BITS = 32,
    parameter int MULTIPLIER_BITS = 31,
    parameter int OUT_BITS = 9,
    parameter int ROUNDING = 0
) (
    input  wire                              clk,
    input  wire                              rst,
    input  wire                              valid_in,
    input  wire signed [       ACC_BITS-1:0] accumulator,
    input  wire signed [      BIAS_BITS-1:0] bias,
    input  wire        [MULTIPLIER_BITS-1:0] multiplier,
    input  wire signed [                7:0] shift,
    input  wire signed [       OUT_BITS-1:0] zero_point,
    input  wire signed [       OUT_BITS-1:0] low,
    input  wire signed [       OUT_BITS-1:0] high,
    output reg                               valid,
    output reg signed  [       OUT_BITS-1:0] code
);
  localparam int SUM_BITS = 1 + (ACC_BITS > BIAS_BITS ? ACC_BITS : BIAS_BITS);
  localparam int PRODUCT_BITS = SUM_BITS + MULTIPLIER_BITS + 1;
  localparam int LEFT_BITS = 31;  // the longest shift to the left
  localparam int SCALED_BITS = PRODUCT_BITS + LEFT_BITS + 1;
  localparam int WIDE_BITS = 1 + (SCALED_BITS > OUT_BITS ? SCALED_BITS : OUT_BITS);

  wire signed [SUM_BITS-1:0] sum =
      {{(SUM_BITS - ACC_BITS) {accumulator[ACC_BITS-1]}}, accumulator} +
      {{(SUM_BITS - BIAS_BITS) {bias[BIAS_BITS-1]}}, bias};

  wire left = shift[7];
  wire [7:0] distance = left ? -shift : shift;

  // first register: the product that is left to be shifted
  wire signed [PRODUCT_BITS-1:0] product_in;
  reg signed [PRODUCT_BITS-1:0] product;
  reg [7:0] left_shift, right_shift;
  reg product_valid;

  generate
    if (ROUNDING == 4) begin : doubling_high
      wire signed [31:0] word = {sum[SUM_BITS-1], sum[30:0]};
      wire signed [31:0] shifted = left ? word <<< distance : word;
      wire signed [63:0] exact = {{32{shifted[31]}}, shifted} * {{(64 - MULTIPLIER_BITS) {1'b0}}, multiplier};
      wire signed [63:0] nudged = exact + 64'sd1073741824;
      // the multiplier is below 2**31, so that the high half needs no saturation
      wire signed [31:0] high_half = nudged[62:31];
      assign product_in = {{(PRODUCT_BITS - 32) {high_half[31]}}, high_half};
      wire unused = &{1'b0, sum, nudged[63], nudged[30:0]};
    end else begin : exact_product
      assign product_in = {{(PRODUCT_BITS - SUM_BITS) {sum[SUM_BITS-1]}}, sum} *
          {{(PRODUCT_BITS - MULTIPLIER_BITS) {1'b0}}, multiplier};
    end
  endgenerate

  always @(posedge clk) begin
    product <= product_in;
    left_shift <= (left && ROUNDING != 4) ? distance : 8'd0;
    right_shift <= left ? 8'd0 : distance;
    product_valid <= valid_in && !rst;
  end

  // second register: shifted and rounded; doubled, so that bit 0 is the half
  wire signed [PRODUCT_BITS:0] doubled = {product, 1'b0};
  wire signed [PRODUCT_BITS:0] floor_and_half = doubled >>> right_shift;
  wire [PRODUCT_BITS:0] ones = {(PRODUCT_BITS + 1) {1'b1}};
  wire below_half = |(doubled & ~(ones << right_shift));
  wire half = floor_and_half[0];
  wire odd = floor_and_half[1];
  wire round_up =
      ROUNDING == 0 ? half :
      ROUNDING == 2 ? half && (below_half || odd) :
      ROUNDING == 3 ? 1'b0 :
      half && (below_half || !product[PRODUCT_BITS-1]);
  wire signed [SCALED_BITS-1:0] rounded =
      {{(SCALED_BITS - PRODUCT_BITS) {floor_and_half[PRODUCT_BITS]}}, floor_and_half[PRODUCT_BITS:1]} +
      {{(SCALED_BITS - 1) {1'b0}}, round_up};
  reg signed [SCALED_BITS-1:0] scaled;
  reg scaled_valid;

  always @(posedge clk) begin
    scaled <= rounded <<< left_shift;
    scaled_valid <= product_valid && !rst;
  end

  // third register: zero point and clamp
  wire signed [WIDE_BITS-1:0] moved =
      {{(WIDE_BITS - SCALED_BITS) {scaled[SCALED_BITS-1]}}, scaled} +
      {{(WIDE_BITS - OUT_BITS) {zero_point[OUT_BITS-1]}}, zero_point};
  wire signed [WIDE_BITS-1:0] wide_low = {{(WIDE_BITS - OUT_BITS) {low[OUT_BITS-1]}}, low};
  wire signed [WIDE_BITS-1:0] wide_high = {{(WIDE_BITS - OUT_BITS) {high[OUT_BITS-1]}}, high};

  always @(posedge clk) begin
    code  <= moved < wide_low ? low : moved > wide_high ? high : moved[OUT_BITS-1:0];
    valid <= scaled_valid && !rst;
  end
endmodule
