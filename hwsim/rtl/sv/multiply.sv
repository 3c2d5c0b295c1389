// The exact product of two operands, each signed or unsigned on its own.
//
// Timing: combinational.
module multiply #(
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1
) (
    input  wire        [         A_BITS-1:0] activation,
    input  wire        [         W_BITS-1:0] weight,
    output wire signed [A_BITS+W_BITS+2-1:0] product
);
  localparam int PRODUCT_BITS = A_BITS + W_BITS + 2;

  wire a_sign = (A_SIGNED != 0) && activation[A_BITS-1];
  wire w_sign = (W_SIGNED != 0) && weight[W_BITS-1];
  wire signed [PRODUCT_BITS-1:0] a_wide = {{(PRODUCT_BITS - A_BITS) {a_sign}}, activation};
  wire signed [PRODUCT_BITS-1:0] w_wide = {{(PRODUCT_BITS - W_BITS) {w_sign}}, weight};
  assign product = a_wide * w_wide;
endmodule
